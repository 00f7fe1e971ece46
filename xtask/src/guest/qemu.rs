// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulator: whether it is there, and what it can do.

use std::fmt;
use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::error::UserError;
use crate::machine::{Apic, MachineType};

/// The program that is run.
pub const BINARY: &str = "qemu-system-x86_64";

/// The first release whose TCG emulates x2APIC.
const X2APIC_SINCE: u32 = 9;

/// The devices that boots use.
const DEVICES: [&str; 3] = ["isa-debug-exit", "edu", "i6300esb"];

/// A release number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version {
    major: u32,
    minor: u32,
    micro: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// An emulator that answered.
#[derive(Clone, Copy, Debug)]
pub struct Qemu {
    /// Its release.
    pub version: Version,
}

impl Qemu {
    /// Asks the emulator for its version; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the program is there but does not say a version.
    pub fn find() -> anyhow::Result<Option<Self>> {
        let output = match Command::new(BINARY).arg("--version").output() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot run {BINARY}"))?,
        };
        let text = String::from_utf8_lossy(&output.stdout);
        match parse_version(&text) {
            Some(version) => Ok(Some(Self { version })),
            None => bail!("`{BINARY} --version` says no version, but: {}", text.trim()),
        }
    }

    /// The machine types and devices that boots use and that it was built without.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub fn lacks(&self) -> anyhow::Result<Vec<&'static str>> {
        let ask = |option: &str| -> anyhow::Result<String> {
            let output = Command::new(BINARY).args([option, "help"]).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        Ok(missing_from(&ask("-machine")?, &ask("-device")?))
    }

    /// Whether its TCG has x2APIC.
    #[must_use]
    pub const fn has_x2apic(&self) -> bool {
        self.version.major >= X2APIC_SINCE
    }

    /// Refuses a mode that it cannot emulate.
    ///
    /// # Errors
    ///
    /// [`UserError::X2apicNeedsNewerQemu`].
    pub const fn require(&self, apic: Apic) -> Result<(), UserError> {
        match apic {
            Apic::X2apic if !self.has_x2apic() => {
                Err(UserError::X2apicNeedsNewerQemu { found: self.version })
            }
            Apic::X2apic | Apic::Xapic => Ok(()),
        }
    }
}

/// What is not in QEMU's lists: a machine's line begins with its name, a device's with `name "`, its name and `"`.
fn missing_from(machines: &str, devices: &str) -> Vec<&'static str> {
    let has_machine =
        |name: &str| machines.lines().any(|line| line.split_whitespace().next() == Some(name));
    let has_device = |name: &str| devices.contains(&format!("name \"{name}\""));
    let machines = MachineType::ALL.map(MachineType::name);
    let missing_machines = machines.into_iter().filter(|name| !has_machine(name));
    missing_machines.chain(DEVICES.into_iter().filter(|name| !has_device(name))).collect()
}

fn parse_version(text: &str) -> Option<Version> {
    let after = text.split("version ").nth(1)?;
    let digits = after.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = digits.split('.').map(|part| part.parse().ok());
    Some(Version {
        major: parts.next()??,
        minor: parts.next()??,
        micro: parts.next().flatten().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qemu(text: &str) -> Qemu {
        Qemu { version: parse_version(text).expect(text) }
    }

    #[test]
    fn distribution_and_plain_versions_are_read() {
        let debian = qemu(
            "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright (c) 2003-2025",
        );
        assert_eq!(debian.version.to_string(), "10.0.2");
        assert_eq!(qemu("QEMU emulator version 9.1").version.to_string(), "9.1.0");
        assert_eq!(qemu("QEMU emulator version 8.2.94 (v9.0.0-rc4)").version.to_string(), "8.2.94");
        assert_eq!(parse_version("no such thing"), None);
        assert_eq!(parse_version("version x"), None);
    }

    #[test]
    fn what_is_not_listed_is_missing() {
        let machines = "Supported machines are:\n\
            pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-10.0)\n\
            q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)\n";
        let devices = "name \"isa-debug-exit\", bus ISA\nname \"edu\", bus PCI\n\
            name \"i6300esb\", bus PCI, desc \"Intel 6300ESB\"\n";
        assert!(missing_from(machines, devices).is_empty());
        let fewer = (machines.replace("pc  ", "none"), devices.replace("\"edu\"", "\"edu2\""));
        assert_eq!(missing_from(&fewer.0, &fewer.1), ["pc", "edu"]);
    }

    #[test]
    fn x2apic_needs_qemu_9() {
        let old = qemu("QEMU emulator version 7.2.22");
        let error = old.require(Apic::X2apic).expect_err("too old");
        assert!(
            error.to_string().contains("needs QEMU 9 or later, and this is QEMU 7.2.22"),
            "{error}"
        );
        assert_eq!(old.require(Apic::Xapic), Ok(()));
        assert_eq!(qemu("QEMU emulator version 9.0.0").require(Apic::X2apic), Ok(()));
    }
}
