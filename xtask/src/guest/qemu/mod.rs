// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU: chooses one, asks whether it answers, and knows what it can do.

pub(crate) mod choice;
pub(crate) mod limits;
mod parts;
mod version;

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::install;
use crate::catalog::Scenario;
use crate::error::UserError;
use crate::machine::Machine;
use crate::process::{self, Captured};
pub use choice::{VARIABLE, choose, choose_by_variable};
use parts::Lacking;
pub use version::Version;

/// The program to run where the user chooses no other.
pub const BINARY: &str = "qemu-system-x86_64";

/// How long it may take to say its version, or what it has.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// An emulator that answered.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: String,
    version: Version,
    lacking: Lacking,
}

impl Qemu {
    /// Asks the chosen emulator for its release; `None` if none is chosen and there is none in
    /// `PATH`.
    ///
    /// # Errors
    ///
    /// [`UserError::QemuUnusable`] when it does not answer as QEMU does, and
    /// [`UserError::QemuTooOld`].
    pub fn find() -> Result<Option<Self>, UserError> {
        let program = choice::program();
        match Self::at(&program) {
            Ok(qemu) => Ok(Some(qemu)),
            Err(Unusable::NotThere) if program == BINARY => Ok(None),
            Err(unusable) => Err(unusable.explain(program)),
        }
    }

    /// Asks the emulator at `path` for its release, whatever the choice is.
    ///
    /// # Errors
    ///
    /// Those of [`Qemu::find`], also when there is no such program.
    pub(crate) fn unpacked(path: &Path) -> Result<Self, UserError> {
        let program = path.to_string_lossy().into_owned();
        Self::at(&program).map_err(|unusable| unusable.explain(program))
    }

    fn at(program: &str) -> Result<Self, Unusable> {
        let text = ask(program, &["--version"])?;
        let version = Version::parse(&text).ok_or_else(|| {
            let first_line = text.trim().lines().next().unwrap_or_default();
            Unusable::Other(format!("`--version` says no version, but: {first_line}"))
        })?;
        if version < limits::OLDEST {
            return Err(Unusable::TooOld(version));
        }
        let machines = ask(program, &["-machine", "help"])?;
        let ask_about = |device: &str| ask(program, &["-device", &format!("{device},help")]);
        let devices = parts::devices().map(ask_about).collect::<Result<String, _>>()?;
        let lacking = Lacking::from_answers(&machines, &devices);
        Ok(Self { program: program.to_owned(), version, lacking })
    }

    /// The program to run: a name in `PATH`, or a path.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its release.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The names of the machine types and devices that boots use and this QEMU was built without.
    pub(crate) fn lacks(&self) -> Vec<&'static str> {
        self.lacking.names()
    }

    /// Refuses a machine that it cannot emulate for any scenario.
    ///
    /// # Errors
    ///
    /// [`UserError::MachineNotOnQemu`].
    pub(crate) fn require(&self, machine: Machine) -> Result<(), UserError> {
        let limit = limits::of_machine(self.version, machine).map(|limit| limit.why.to_owned());
        let missing = self.lacking.of_machine(machine.machine_type);
        match limit.or_else(|| missing.map(|what| format!("it was built without {what}"))) {
            None => Ok(()),
            Some(why) => Err(UserError::MachineNotOnQemu {
                machine: machine.to_string(),
                qemu: self.to_string(),
                why,
                remedy: install::newer_qemu_remedy(),
            }),
        }
    }

    /// Why it cannot run `scenario` on `machine`, if it cannot.
    pub(crate) fn refuses(&self, scenario: &Scenario, machine: Machine) -> Option<String> {
        if let Err(error) = self.require(machine) {
            return Some(error.to_string());
        }
        let why = match limits::of_scenario(self.version, scenario, machine) {
            Some(limit) => limit.why.to_owned(),
            None => {
                let device = self.lacking.of_devices(scenario.devices)?;
                format!("it was built without device `{device}`")
            }
        };
        Some(format!("{self}: {why}"))
    }
}

impl fmt::Display for Qemu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QEMU {}", self.version)?;
        if self.program == BINARY { Ok(()) } else { write!(f, " ({})", self.program) }
    }
}

/// Why an emulator cannot be used.
#[derive(Debug, Eq, PartialEq)]
enum Unusable {
    NotThere,
    TooOld(Version),
    Other(String),
}

impl Unusable {
    fn explain(self, program: String) -> UserError {
        let why = match self {
            Self::NotThere => String::from("there is no such program"),
            Self::Other(why) => why,
            Self::TooOld(found) => {
                let (oldest, remedy) = (limits::OLDEST, install::newer_qemu_remedy());
                return UserError::QemuTooOld { program, found, oldest, remedy };
            }
        };
        UserError::QemuUnusable { program, why }
    }
}

/// What it prints when it is run with `arguments`.
fn ask(program: &str, arguments: &[&str]) -> Result<String, Unusable> {
    let words = arguments.join(" ");
    let captured = process::capture(Command::new(program).args(arguments), ANSWER_LIMIT);
    let Captured { status, output } = captured.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unusable::NotThere,
        _ => Unusable::Other(format!("it cannot be run: {error}")),
    })?;
    let fault = match status {
        Some(status) if status.success() => return Ok(output),
        Some(status) => format!("`{words}` fails ({status}): {}", output.trim()),
        None => format!("`{words}` is not answered within {} s", ANSWER_LIMIT.as_secs()),
    };
    Err(Unusable::Other(fault))
}

#[cfg(test)]
pub(crate) mod tests;
