// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chooses the QEMU: the one that the user names, or the one in `PATH`.

use std::env;
use std::path::{self, Path, PathBuf};
use std::sync::OnceLock;

use super::BINARY;
use crate::error::UserError;

/// The environment variable that names the emulator, for us and for what we start.
pub const VARIABLE: &str = "LATCHWORK_QEMU";

/// The emulator that the command line names: an absolute path.
static CHOSEN: OnceLock<String> = OnceLock::new();

/// Makes this process, and every process that it starts by cargo, use the emulator at `path`. It
/// looks a name without a slash up in `PATH`. Only the first choice counts.
///
/// # Errors
///
/// [`UserError::QemuUnusable`] when there is no such file.
pub fn choose(path: &Path) -> Result<(), UserError> {
    let program = absolute(path, &search_path())?;
    let _ = CHOSEN.set(program);
    Ok(())
}

/// The same with the emulator that the environment names, if it names one. A wrong name is an error
/// only once a command looks for the emulator: most commands need none.
pub fn choose_by_variable() {
    if let Some(named) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        let _ = choose(Path::new(&named));
    }
}

/// The program to run: the choice of the command line, of the environment, or [`BINARY`].
pub(super) fn program() -> String {
    let named = || env::var(VARIABLE).ok().filter(|name| !name.is_empty());
    CHOSEN.get().cloned().or_else(named).unwrap_or_else(|| String::from(BINARY))
}

/// The choice of the command line, which we pass on to what we start.
pub(crate) fn to_pass_on() -> Option<&'static str> {
    CHOSEN.get().map(String::as_str)
}

fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

fn absolute(path: &Path, search_path: &[PathBuf]) -> Result<String, UserError> {
    let unusable = |why: &str| UserError::QemuUnusable {
        program: path.display().to_string(),
        why: why.to_owned(),
    };
    let is_name = path.components().count() == 1 && !path.to_string_lossy().contains('/');
    let found = if is_name {
        let mut candidates = search_path.iter().map(|folder| folder.join(path));
        let found = candidates.find(|candidate| candidate.is_file());
        found.ok_or_else(|| unusable("there is no such program in PATH"))?
    } else if path.is_file() {
        path.to_owned()
    } else if path.is_dir() {
        return Err(unusable("it is a folder, not a program"));
    } else {
        return Err(unusable("there is no such file"));
    };
    let found = path::absolute(found).map_err(|error| unusable(&error.to_string()))?;
    found.into_os_string().into_string().map_err(|_| unusable("its path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::private_dir::PrivateDir;

    #[test]
    fn names_are_looked_up_and_paths_made_absolute() {
        let there = PrivateDir::new().expect("made");
        let file = there.path().join("my-qemu");
        fs::write(&file, "").expect("written");
        let search_path = [PathBuf::from("/nowhere"), there.path().to_owned()];
        let expected = file.to_str().expect("text").to_owned();
        assert_eq!(absolute(Path::new("my-qemu"), &search_path), Ok(expected.clone()));
        assert_eq!(absolute(&file, &[]), Ok(expected));
        let relative = absolute(Path::new("./Cargo.toml"), &[]).expect("this package's");
        assert!(relative.starts_with('/'), "{relative}");
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let there = PrivateDir::new().expect("made");
        let search_path = [there.path().to_owned()];
        for (path, why) in [("no-qemu", "in PATH"), ("/no/qemu", "no such file"), ("/", "a folder")]
        {
            let error = absolute(Path::new(path), &search_path).expect_err(path).to_string();
            assert!(error.contains(path) && error.contains(why), "{error}");
        }
    }
}
