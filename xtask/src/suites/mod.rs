// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU of a Debian release, unpacked and not installed, so that the oldest and the newest are side
//! by side whatever the machine has.
//!
//! xtask unpacks each with every library that it needs, its own dynamic loader included. It pins
//! the suite, whose version moves with Debian. So it looks the version up again from time to time,
//! and always prints it.

mod apt;
mod unpacked;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::guest::qemu::BINARY;
use apt::PrivateApt;
use unpacked::Unpacked;

/// A Debian suite whose QEMU tests boot on.
///
/// A later one has a newer QEMU.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Suite {
    /// Debian 12, with the oldest QEMU of these
    Bookworm,
    /// Debian 13
    Trixie,
    /// Where Debian's newest packages are
    Sid,
}

/// The options of `unpack`.
#[derive(Args, Debug)]
pub struct Options {
    /// Whose QEMU is unpacked
    suite: Suite,
}

/// Prints the path of the suite's QEMU, and first downloads and unpacks it if it is not there; the
/// value is true.
///
/// # Errors
///
/// Those of [`Suite::qemu`].
pub fn run(options: &Options) -> anyhow::Result<bool> {
    println!("{}", options.suite.qemu(&mut |line| eprintln!("{line}"))?.display());
    Ok(true)
}

/// Debian's package of the emulator.
const PACKAGE: &str = "qemu-system-x86";

/// How long an unpacked QEMU counts as fresh. After that, xtask looks up the suite's version again.
const FRESH_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Suite {
    /// Debian's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// The emulator's program, downloaded and unpacked unless it is there. `tell` gets a line about
    /// each step.
    ///
    /// # Errors
    ///
    /// When the machine has no apt with a Debian mirror, or a download or the unpacking fails.
    pub fn qemu(self, tell: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
        let folder = cache_dir()?.join(self.name());
        let present = Unpacked::find(&folder);
        if let Some(present) = present.as_ref().filter(|present| present.age() < FRESH_FOR) {
            tell(&format!("{self}'s {PACKAGE} {} is unpacked", present.version()));
            return Ok(present.program());
        }
        match (self.bring_up_to_date(&folder, present.as_ref(), tell), present) {
            (Ok(program), _) => Ok(program),
            (Err(error), Some(present)) => {
                let version = present.version();
                tell(&format!("{self} cannot be looked up, so {version} is used: {error:#}"));
                Ok(present.program())
            }
            (Err(error), None) => {
                Err(error.context(format!("QEMU of Debian's suite {self} cannot be unpacked")))
            }
        }
    }

    fn bring_up_to_date(
        self,
        folder: &Path,
        present: Option<&Unpacked>,
        tell: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let apt = PrivateApt::new(self.name())?;
        tell(&format!("looking up {PACKAGE} of Debian's suite {self}"));
        apt.update()?;
        let version = apt.candidate(PACKAGE)?;
        if let Some(present) = present.filter(|present| present.version() == version) {
            present.touch()?;
            tell(&format!("{self}'s {PACKAGE} is still {version}"));
            return Ok(present.program());
        }
        tell(&format!("downloading {self}'s {PACKAGE} {version} and what it needs"));
        let packages = apt.download(PACKAGE)?;
        ensure!(!packages.is_empty(), "apt downloaded nothing");
        tell(&format!("unpacking {} packages into {}", packages.len(), folder.display()));
        Ok(Unpacked::unpack(folder, &version, &packages)?.program())
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The folder for unpacked emulators, outside the clone, so that several clones share them.
fn cache_dir() -> anyhow::Result<PathBuf> {
    let named = |variable: &str| env::var_os(variable).filter(|it| !it.is_empty());
    let cache = named("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| named("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let folder = cache.context("neither XDG_CACHE_HOME nor HOME names a folder")?;
    let folder = folder.join("latchwork").join(BINARY);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
