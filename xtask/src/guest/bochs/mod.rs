// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bochs, which is stricter than QEMU where hardware is, and has few of QEMU's devices.
//!
//! What Debian's Bochs 2.7 has, as this module uses it: several CPUs, x2APIC in its newer CPU
//! models, a MADT from its BIOS. It boots no kernel by itself, so each boot gets an image with
//! GRUB.

mod boot;
mod config;
mod install;
mod screen;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::Context as _;

use super::boot::{Deaf, Limits, Listener, Transcript};
use super::{Emulator, OneBoot, command, kernel};
use crate::catalog::Scenario;
use crate::error::UserError;
use crate::iso::Menu;
use crate::iso::grub::Grub;
use crate::machine::{Clock, Machine, MachineType};
use crate::private_dir::PrivateDir;
pub use install::find_or_install;
pub(crate) use install::remedy;

/// The program that is run.
const BINARY: &str = "bochs";

/// Where its images are, unless the variable `BXSHARE` names another folder.
const SHARE: &str = "/usr/share/bochs";
const BIOS: &str = "BIOS-bochs-latest";
const VGA_BIOS: &str = "VGABIOS-lgpl-latest";

/// The file of the display that needs no windows.
const TERM_DISPLAY: &str = "libbx_term_gui.so";

/// Its machine type, by QEMU's name: the chipset is Intel's 440FX.
pub const MACHINE_TYPE: MachineType = MachineType::Pc;

/// Its clock, by our name for QEMU's: it counts instructions.
pub const CLOCK: Clock = Clock::Deterministic;

/// A Bochs that answered, with everything that a boot needs.
#[derive(Clone, Debug)]
pub struct Bochs {
    version: String,
    share: PathBuf,
}

impl Bochs {
    /// Looks for the program, its text display, and the images of its BIOS and its display's.
    ///
    /// # Errors
    ///
    /// The names of what is missing.
    pub fn find() -> Result<Self, String> {
        let help = |topic: &[&str]| {
            let mut command = Command::new(BINARY);
            command.arg("--help").args(topic).stdin(Stdio::null());
            command.output().map(|output| {
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
            })
        };
        let text = help(&["cpu"]).map_err(|_| format!("`{BINARY}` (bochs)"))?;
        let version =
            version(&text).ok_or_else(|| format!("a `{BINARY}` that says its version"))?;
        let share = env::var_os("BXSHARE").map_or_else(|| PathBuf::from(SHARE), PathBuf::from);

        let mut lacking = Vec::new();
        if !text.lines().any(|line| line == config::CPU_MODEL) {
            lacking.push(format!("the CPU model {}", config::CPU_MODEL));
        }
        if plugin_folder(&text).is_some_and(|folder| !folder.join(TERM_DISPLAY).exists()) {
            lacking.push(String::from("the display `term` (bochs-term)"));
        }
        for (file, package) in [(BIOS, "bochsbios"), (VGA_BIOS, "vgabios")] {
            // The second is a link to a file of another package.
            if !share.join(file).exists() {
                lacking.push(format!("`{}` ({package})", share.join(file).display()));
            }
        }
        if lacking.is_empty() { Ok(Self { version, share }) } else { Err(lacking.join(", ")) }
    }

    /// Its release.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Why `scenario` cannot run on Bochs, if it cannot.
pub(crate) fn refuses(scenario: &Scenario) -> Option<UserError> {
    let devices: Vec<_> =
        scenario.devices.iter().map(|&device| command::device_name(device)).collect();
    (!devices.is_empty()).then(|| {
        UserError::NotOnBochs(format!(
            "has no {}, which scenario `{}` needs",
            devices.join(" and no "),
            scenario.name
        ))
    })
}

/// What every boot on Bochs needs, and what we find or build only once.
#[derive(Clone, Debug)]
pub struct BochsHost {
    /// The emulator.
    pub bochs: Bochs,
    /// What builds the image that it boots.
    pub grub: Grub,
    /// The kernel.
    pub kernel: kernel::Kernel,
}

impl Emulator for BochsHost {
    fn boot(
        &self,
        one: &OneBoot,
        limits: Limits,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<Transcript> {
        let folder = PrivateDir::new().context("cannot make a temporary folder")?;
        let append = one.append("bochs");
        let image = folder.path().join(config::IMAGE);
        self.grub.build(&self.kernel.path, &Menu::of_one(&append), &image)?;
        boot::run(&self.bochs, folder.path(), one.machine, limits, listener)
    }

    fn boot_image(
        &self,
        image: &Path,
        machine: Machine,
        limits: Limits,
    ) -> anyhow::Result<Transcript> {
        let folder = PrivateDir::new().context("cannot make a temporary folder")?;
        fs::copy(image, folder.path().join(config::IMAGE))?;
        boot::run(&self.bochs, folder.path(), machine, limits, &mut Deaf)
    }
}

/// The release in text like `Bochs x86 Emulator 2.7`.
fn version(text: &str) -> Option<String> {
    let after = text.split("Bochs x86 Emulator ").nth(1)?;
    after.split_whitespace().next().map(str::to_owned)
}

/// Where Bochs looks for its plugins, if it was built to have any.
fn plugin_folder(text: &str) -> Option<&Path> {
    let quoted = text.lines().find(|line| line.contains("LTDL_LIBRARY_PATH"))?;
    quoted.split('\'').nth(1).map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;

    const HELP: &str = "00000000000i[      ] LTDL_LIBRARY_PATH not set. using compile time default \
                        '/usr/lib/x/bochs/plugins'\n\
        Supported CPU models:\n\ncorei7_ivy_bridge_3770k\n=====\n        Bochs x86 Emulator 2.7\n  \
                        Built from SVN snapshot\n";

    #[test]
    fn its_own_words_are_read() {
        assert_eq!(version(HELP).as_deref(), Some("2.7"));
        assert_eq!(plugin_folder(HELP), Some(Path::new("/usr/lib/x/bochs/plugins")));
        assert_eq!((version("no such thing"), plugin_folder("nor this")), (None, None));
    }

    #[test]
    fn scenarios_with_devices_are_refused_by_name() {
        for scenario in SCENARIOS {
            let refusal = refuses(scenario).map(|error| error.to_string());
            match scenario.devices {
                [] => assert_eq!(refusal, None),
                [..] => assert!(refusal.is_some_and(|text| text.contains(scenario.name))),
            }
        }
    }
}
