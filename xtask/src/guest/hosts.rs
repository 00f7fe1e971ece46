// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every emulator that tests boot on, as far as this machine has it.

use std::sync::Arc;

use super::bochs::{Bochs, BochsHost};
use super::kernel::{self, Kernel};
use super::qemu::Qemu;
use super::{DiscHost, Emulator, Host, Place};
use crate::catalog::Scenario;
use crate::cells::Cell;
use crate::iso::grub::{self, Grub};
use crate::machine::Machine;

/// The emulators that were found; in place of each other one, the reason.
#[derive(Debug)]
pub struct Hosts {
    kernel: Kernel,
    qemu: Result<Qemu, String>,
    grub: Result<Grub, String>,
    bochs: Result<Bochs, String>,
}

impl Hosts {
    /// Builds the kernel and looks for what boots it.
    ///
    /// # Errors
    ///
    /// When the kernel does not build.
    pub fn look() -> anyhow::Result<Self> {
        let no_qemu = || String::from("QEMU is not installed (`apt-get install qemu-system-x86`)");
        let kernel = kernel::obtain()?;
        let qemu = match Qemu::find() {
            Ok(found) => found.ok_or_else(no_qemu),
            Err(error) => Err(error.to_string()),
        };
        Ok(Self::with(kernel, qemu))
    }

    /// Looks for what boots `kernel` besides `qemu`.
    pub(crate) fn with(kernel: Kernel, qemu: Result<Qemu, String>) -> Self {
        let without = |lacking: String, remedy: String| format!("{lacking} is missing ({remedy})");
        Self {
            kernel,
            qemu,
            grub: Grub::find().map_err(|lacking| without(lacking, grub::remedy())),
            bochs: Bochs::find().map_err(|lacking| without(lacking, super::bochs::remedy())),
        }
    }

    /// Why QEMU, if there is one, cannot run `cell`.
    #[must_use]
    pub fn refusal(&self, cell: &Cell) -> Option<String> {
        cell.refusal(self.qemu.as_ref().ok()?)
    }

    /// What boots `scenario` at `place` on `machine`.
    ///
    /// # Errors
    ///
    /// Why this emulator, or this machine, cannot.
    pub(crate) fn emulator_for(
        &self,
        place: Place,
        scenario: &Scenario,
        machine: Machine,
    ) -> Result<Arc<dyn Emulator>, String> {
        let emulator = self.emulator_on(place, machine)?;
        let refusal = match place {
            Place::Kernel | Place::Disc => {
                self.qemu.as_ref().map_err(Clone::clone)?.refuses(scenario, machine)
            }
            Place::Bochs => super::bochs::refuses(scenario).map(|error| error.to_string()),
        };
        refusal.map_or(Ok(emulator), Err)
    }

    /// What boots at `place` on `machine`, whatever the scenario.
    ///
    /// # Errors
    ///
    /// Why this machine cannot.
    pub(crate) fn emulator_on(
        &self,
        place: Place,
        machine: Machine,
    ) -> Result<Arc<dyn Emulator>, String> {
        match place {
            Place::Kernel => Ok(Arc::new(self.qemu(machine)?)),
            Place::Disc => {
                Ok(Arc::new(DiscHost { grub: self.grub.clone()?, host: self.qemu(machine)? }))
            }
            Place::Bochs => Ok(Arc::new(BochsHost {
                bochs: self.bochs.clone()?,
                grub: self.grub.clone()?,
                kernel: self.kernel.clone(),
            })),
        }
    }

    /// The kernel and what makes images of it.
    ///
    /// # Errors
    ///
    /// Why this machine cannot.
    pub(crate) fn images(&self) -> Result<(&Kernel, Grub), String> {
        Ok((&self.kernel, self.grub.clone()?))
    }

    fn qemu(&self, machine: Machine) -> Result<Host, String> {
        let qemu = self.qemu.clone()?;
        qemu.require(machine).map_err(|error| error.to_string())?;
        Ok(Host { qemu, kernel: self.kernel.clone() })
    }
}
