// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of a step: a file of its own for its output, since several steps run at a time.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;

use crate::process::Supervised;

/// One step's file, which the first write makes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
}

impl Log {
    /// The file of `step` in `folder`. Removes what an earlier run has left there.
    pub(super) fn new(folder: &Path, step: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name: String = step.chars().map(|c| if plain(c) { c } else { '.' }).collect();
        let path = folder.join(format!("{name}.log"));
        drop(fs::remove_file(&path));
        Self { path }
    }

    /// The content; empty if the step has written nothing.
    pub(super) fn read(&self) -> String {
        fs::read(&self.path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Adds a line.
    pub(super) fn line(&self, text: &str) {
        // A log that cannot be written is no reason to fail a step.
        drop(self.open().and_then(|mut file| Ok(writeln!(file, "{text}")?)));
    }

    /// Runs `command` to its end, with its output in the file.
    pub(super) fn run(&self, command: &mut Command) -> anyhow::Result<ExitStatus> {
        let file = self.open()?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process =
            Supervised::spawn(command).with_context(|| format!("cannot run {program}"))?;
        Ok(process.wait()?)
    }

    fn open(&self) -> anyhow::Result<File> {
        let file = File::options().create(true).append(true).open(&self.path);
        file.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_dir::PrivateDir;

    #[test]
    fn a_step_finds_its_own_words_and_none_of_an_earlier_run() {
        let folder = PrivateDir::new().expect("a folder");
        let log = Log::new(folder.path(), "mutant::a/b");
        assert_eq!(log.read(), "");
        log.line("one");
        let mut command = Command::new("sh");
        let status = log.run(command.args(["-c", "echo two; echo three >&2; exit 3"]));
        assert_eq!(status.expect("it ran").code(), Some(3));
        assert_eq!(log.read(), "one\ntwo\nthree\n");
        assert_eq!(Log::new(folder.path(), "mutant::a/b").read(), "");
    }
}
