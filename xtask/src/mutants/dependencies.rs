// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shares other projects' packages that were built for the true source with a copy of the source.
//!
//! Cargo names what it builds by package, features, profile and flags. Packages of a registry are
//! the same for each copy; only our own differ by their path.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The folders of a profile in which cargo keeps its records of each package and its products. The
/// records come first, since cargo writes them last.
const FOLDERS: [&str; 3] = [".fingerprint", "build", "deps"];

/// How the names of our own packages begin, and of their libraries.
const OURS: [&str; 4] = ["latchwork", "liblatchwork", "xtask", "libxtask"];

/// Makes `to`, a copy's folder of a profile, share those files in `from`, the folder of the true
/// source, that it lacks and that are not of our own packages. Cargo builds what cannot be shared.
pub(super) fn share(from: &Path, to: &Path) {
    for folder in FOLDERS {
        drop(link_missing(&from.join(folder), &to.join(folder)));
    }
}

fn link_missing(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if OURS.iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            if !target.exists() {
                link_missing(&entry.path(), &target)?;
            }
            continue;
        }
        match fs::hard_link(entry.path(), target) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_dir::PrivateDir;

    #[test]
    fn what_is_others_and_missing_is_shared() {
        let folder = PrivateDir::new().expect("a folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (file, text) in [
            ("from/deps/libserde-1.rlib", "serde"),
            ("from/deps/liblatchwork-1.rlib", "ours"),
            ("from/deps/libkept-1.rlib", "new"),
            ("from/.fingerprint/serde-1/lib-serde", "known"),
            ("from/build/serde-1/out/x", "built"),
            ("from/incremental/x", "never"),
            ("to/deps/libkept-1.rlib", "old"),
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        share(&from, &to);
        let read = |file: &str| fs::read_to_string(to.join(file)).ok();
        assert_eq!(read("deps/libserde-1.rlib").as_deref(), Some("serde"));
        assert_eq!(read("deps/libkept-1.rlib").as_deref(), Some("old"));
        assert_eq!(read(".fingerprint/serde-1/lib-serde").as_deref(), Some("known"));
        assert_eq!(read("build/serde-1/out/x").as_deref(), Some("built"));
        assert_eq!(read("deps/liblatchwork-1.rlib"), None);
        assert_eq!(read("incremental/x"), None);
    }

    #[test]
    fn nothing_to_share_is_no_matter() {
        let folder = PrivateDir::new().expect("a folder");
        share(&folder.path().join("from"), &folder.path().join("to"));
    }
}
