// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every emulator that tests boot on, as far as this machine has it.

use std::sync::Arc;

use super::bochs::{Bochs, BochsHost};
use super::kernel::{self, Kernel};
use super::qemu::Qemu;
use super::{DiscHost, Emulator, Host, Place};
use crate::iso::grub::{self, Grub};
use crate::machine::Apic;

/// What was found; in place of what was not, the reason.
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
    /// When the kernel does not build, or a QEMU does not say its version.
    pub fn look() -> anyhow::Result<Self> {
        let no_qemu = || String::from("QEMU is not installed (`apt-get install qemu-system-x86`)");
        let without = |lacking: String, remedy: String| format!("{lacking} is missing ({remedy})");
        Ok(Self {
            kernel: kernel::obtain()?,
            qemu: Qemu::find()?.ok_or_else(no_qemu),
            grub: Grub::find().map_err(|lacking| without(lacking, grub::remedy())),
            bochs: Bochs::find().map_err(|lacking| without(lacking, super::bochs::remedy())),
        })
    }

    /// What boots at `place` in the mode `apic`.
    ///
    /// # Errors
    ///
    /// Why this machine cannot.
    pub fn emulator(&self, place: Place, apic: Apic) -> Result<Arc<dyn Emulator>, String> {
        match place {
            Place::Kernel => Ok(Arc::new(self.qemu(apic)?)),
            Place::Disc => {
                Ok(Arc::new(DiscHost { grub: self.grub.clone()?, host: self.qemu(apic)? }))
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

    fn qemu(&self, apic: Apic) -> Result<Host, String> {
        let qemu = self.qemu.clone()?;
        qemu.require(apic).map_err(|error| error.to_string())?;
        Ok(Host { qemu, kernel: self.kernel.clone() })
    }
}
