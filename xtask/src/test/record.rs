// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of earlier runs: each step's last result, how long it took, and on which source. It
//! is a JSON file among the build products.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::outcome::Row;
use crate::workspace;

/// The format's number. A file of another format counts as none.
const SCHEMA: u32 = 1;

/// The record of earlier runs.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    schema: u32,
    /// By the name of the step.
    steps: BTreeMap<String, Entry>,
    /// How long whole runs took, by request.
    #[serde(default)]
    runs: BTreeMap<String, f64>,
    #[serde(skip)]
    path: PathBuf,
}

/// The last run of a step.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Entry {
    milliseconds: u64,
    result: String,
    /// The source and compiler of that run, by [`fingerprint`].
    source: String,
}

impl Record {
    /// Reads `path`. A file that is missing or cannot be read is an empty record.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let read = serde_json::from_str(&text).ok().filter(|it: &Self| it.schema == SCHEMA);
        let empty = Self {
            schema: SCHEMA,
            steps: BTreeMap::new(),
            runs: BTreeMap::new(),
            path: PathBuf::new(),
        };
        Self { path: path.to_owned(), ..read.unwrap_or(empty) }
    }

    /// How long the step took when it last passed or failed.
    pub(super) fn seconds(&self, step: &str) -> Option<f64> {
        self.steps.get(step).map(|entry| entry.milliseconds as f64 / 1000.0)
    }

    /// Its last result: `passed`, `FAILED` or `skipped`.
    pub(super) fn result(&self, step: &str) -> Option<&str> {
        self.steps.get(step).map(|entry| entry.result.as_str())
    }

    /// Whether the step passed the last time, and on this source.
    pub(super) fn has_passed(&self, step: &str, source: &str) -> bool {
        self.steps.get(step).is_some_and(|entry| entry.result == "passed" && entry.source == source)
    }

    /// How long the whole run of this request took.
    pub(super) fn whole_run(&self, asked: &str) -> Option<f64> {
        self.runs.get(asked).copied()
    }

    /// Notes the result of a step, and writes the file, so that `--resume` works after a run that
    /// was ended from outside.
    pub(super) fn note(&mut self, row: &Row, source: &str) -> anyhow::Result<()> {
        let entry = Entry {
            milliseconds: (row.seconds * 1000.0) as u64,
            result: row.verdict().to_owned(),
            source: source.to_owned(),
        };
        self.steps.insert(row.name.clone(), entry);
        self.write()
    }

    /// Notes how long the whole run took.
    pub(super) fn note_whole_run(&mut self, asked: &str, seconds: f64) -> anyhow::Result<()> {
        self.runs.insert(asked.to_owned(), seconds);
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let new = self.path.with_extension("new");
        let write = || {
            fs::write(&new, serde_json::to_string_pretty(self)?)?;
            anyhow::Ok(fs::rename(&new, &self.path)?)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The fingerprint of what a result depends on: every file of the source, and the compiler. Equal
/// texts mean equal sources.
pub(super) fn fingerprint() -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in workspace::source_files()? {
        file.hash(&mut hasher);
        let path = workspace::root().join(&file);
        fs::read(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .hash(&mut hasher);
    }
    let compiler = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    compiler.stdout.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::*;
    use crate::private_dir::PrivateDir;

    fn row(name: &str, outcome: Outcome) -> Row {
        Row { name: name.into(), outcome, seconds: 1.5 }
    }

    #[test]
    fn what_is_noted_is_there_the_next_time() {
        let folder = PrivateDir::new().expect("a folder");
        let path = folder.path().join("record.json");
        let mut record = Record::read(&path);
        assert_eq!((record.seconds("a"), record.whole_run("all")), (None, None));
        record.note(&row("a", Outcome::Passed), "s1").expect("written");
        record.note(&row("b", Outcome::Failed("no".into())), "s1").expect("written");
        record.note_whole_run("all", 3.0).expect("written");

        let again = Record::read(&path);
        assert_eq!((again.seconds("a"), again.result("b")), (Some(1.5), Some("FAILED")));
        assert_eq!(again.whole_run("all"), Some(3.0));
        assert!(again.has_passed("a", "s1") && !again.has_passed("a", "s2"));
        assert!(!again.has_passed("b", "s1") && !again.has_passed("c", "s1"));
    }

    #[test]
    fn what_is_no_record_is_an_empty_one() {
        let folder = PrivateDir::new().expect("a folder");
        let path = folder.path().join("record.json");
        for text in ["", "{", r#"{"schema":0,"steps":{}}"#] {
            fs::write(&path, text).expect("written");
            assert!(Record::read(&path).steps.is_empty(), "{text}");
        }
    }

    #[test]
    fn one_source_has_one_fingerprint() {
        assert_eq!(fingerprint().expect("a source"), fingerprint().expect("a source"));
    }
}
