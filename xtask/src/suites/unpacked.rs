// SPDX-License-Identifier: MIT OR Apache-2.0
//! An emulator with its libraries in a folder of its own.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

use super::apt::stdout_of;
use crate::guest::qemu::BINARY;

/// Where packages put the dynamic loader, which loads the libraries that were unpacked with it.
const LOADERS: [&str; 4] = [
    "usr/lib64/ld-linux-x86-64.so.2",
    "lib64/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
];

/// Where packages put libraries, as far as the emulator needs them.
const LIBRARIES: [&str; 3] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio"];

/// The file with the unpacked version. Its modification time says when that version was last looked
/// up.
const STAMP: &str = "version";

/// The folder of what was unpacked.
const ROOT: &str = "root";

/// An emulator that was completely unpacked.
#[derive(Debug)]
pub(super) struct Unpacked {
    folder: PathBuf,
    version: String,
    looked_up: SystemTime,
}

impl Unpacked {
    /// What an earlier run has left in `folder`, if it is complete.
    pub(super) fn find(folder: &Path) -> Option<Self> {
        let stamp = folder.join(STAMP);
        let version = fs::read_to_string(&stamp).ok()?.trim().to_owned();
        let looked_up = fs::metadata(&stamp).and_then(|data| data.modified()).ok()?;
        let found = Self { folder: folder.to_owned(), version, looked_up };
        found.program().is_file().then_some(found)
    }

    /// Unpacks `packages` to `folder`, in place of what is there. A folder beside it holds an
    /// incomplete one.
    pub(super) fn unpack(
        folder: &Path,
        version: &str,
        packages: &[PathBuf],
    ) -> anyhow::Result<Self> {
        let unfinished = folder.with_extension(format!("unfinished-{}", process::id()));
        remove(&unfinished)?;
        let root = unfinished.join(ROOT);
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        for package in packages {
            stdout_of(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root))?;
        }
        let script = script(&root, &folder.join(ROOT))?;
        let program = unfinished.join(BINARY);
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        fs::write(unfinished.join(STAMP), format!("{version}\n"))?;
        remove(folder)?;
        fs::rename(&unfinished, folder)?;
        Self::find(folder).context("what was unpacked is not whole")
    }

    pub(super) fn program(&self) -> PathBuf {
        self.folder.join(BINARY)
    }

    /// The package's version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// How long ago it was last known to be the suite's version.
    pub(super) fn age(&self) -> Duration {
        self.looked_up.elapsed().unwrap_or_default()
    }

    /// Notes that it is the suite's version now.
    pub(super) fn touch(&self) -> anyhow::Result<()> {
        let stamp = File::options().write(true).open(self.folder.join(STAMP))?;
        Ok(stamp.set_modified(SystemTime::now())?)
    }
}

/// A program that runs the emulator with the loader, the libraries and the firmware that were
/// unpacked to `root` and will be at `home`.
fn script(root: &Path, home: &Path) -> anyhow::Result<String> {
    let loader = LOADERS.iter().find(|loader| root.join(loader).exists());
    let loader = loader.context("the packages have no dynamic loader")?;
    ensure!(root.join("usr/bin").join(BINARY).exists(), "the packages have no {BINARY}");
    let home = home.to_str().context("the folder's name is no text")?;
    ensure!(!home.contains(['\'', ':']), "`{home}` cannot stand in a list of folders");
    let libraries = LIBRARIES.map(|folder| format!("{home}/{folder}")).join(":");
    Ok(format!(
        "#!/bin/sh\n\
         QEMU_MODULE_DIR='{home}/usr/lib/x86_64-linux-gnu/qemu' exec '{home}/{loader}' \
         --library-path '{libraries}' --argv0 {BINARY} '{home}/usr/bin/{BINARY}' \
         -L '{home}/usr/share/qemu' -L '{home}/usr/share/seabios' \"$@\"\n"
    ))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_dir::PrivateDir;

    /// Packages' content as it would be unpacked to a folder.
    fn root() -> PrivateDir {
        let root = PrivateDir::new().expect("a folder");
        for file in [LOADERS[1], "usr/bin/qemu-system-x86_64"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "").expect("written");
        }
        root
    }

    #[test]
    fn the_script_names_the_loader_that_is_there() {
        let root = root();
        let text = script(root.path(), Path::new("/cache/a suite/root")).expect("whole");
        assert!(text.contains("exec '/cache/a suite/root/lib64/ld-linux-x86-64.so.2' "), "{text}");
        assert!(text.ends_with(" \"$@\"\n") && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let root = root();
        for home in ["/it's/root", "/a:b/root"] {
            assert!(script(root.path(), Path::new(home)).is_err(), "{home}");
        }
        fs::remove_file(root.path().join(LOADERS[1])).expect("removed");
        let error = script(root.path(), Path::new("/cache/root")).expect_err("no loader");
        assert!(error.to_string().contains("loader"), "{error}");
    }

    #[test]
    fn only_what_is_whole_is_found() {
        let folder = PrivateDir::new().expect("a folder");
        let path = folder.path();
        assert!(Unpacked::find(path).is_none());
        fs::write(path.join(STAMP), "1:7.2\n").expect("written");
        assert!(Unpacked::find(path).is_none());
        fs::write(path.join(BINARY), "").expect("written");
        let found = Unpacked::find(path).expect("whole");
        assert_eq!(found.version(), "1:7.2");
        assert!(found.age() < Duration::from_secs(60));
    }

    #[test]
    fn touching_makes_it_fresh() {
        let folder = PrivateDir::new().expect("a folder");
        let stamp = folder.path().join(STAMP);
        fs::write(&stamp, "1\n").expect("written");
        fs::write(folder.path().join(BINARY), "").expect("written");
        let old = SystemTime::now() - Duration::from_secs(1_000_000);
        File::options().write(true).open(&stamp).and_then(|it| it.set_modified(old)).expect("set");
        let found = Unpacked::find(folder.path()).expect("whole");
        assert!(found.age() > Duration::from_secs(900_000));
        found.touch().expect("touched");
        assert!(Unpacked::find(folder.path()).expect("whole").age() < Duration::from_secs(60));
    }
}
