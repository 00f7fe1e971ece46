// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image of `cargo xtask iso` as a test: left alone, it boots its first entry, which holds.

use std::sync::Arc;

use super::{build_with_every_scenario, grub::Grub};
use crate::guest::hosts::Hosts;
use crate::guest::kernel::Kernel;
use crate::guest::{Emulator, Limits, Place};
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::private_dir::PrivateDir;

/// A guest that is silent for this long hangs: the menu waits, and a loaded machine may be slow.
const SILENCE_S: u64 = 120;

/// The machine that boots the image.
const MACHINE: Machine =
    Machine { machine_type: MachineType::Pc, cpus: 2, apic: Apic::Xapic, clock: Clock::Parallel };

/// The image on one emulator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trial {
    /// QEMU.
    OnQemu,
    /// Bochs.
    OnBochs,
}

/// What a trial needs.
struct Ready {
    emulator: Arc<dyn Emulator>,
    kernel: Kernel,
    grub: Grub,
}

impl Trial {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OnQemu, Self::OnBochs];

    /// The test's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnQemu => "iso::boots_by_itself_on_qemu",
            Self::OnBochs => "iso::boots_by_itself_on_bochs",
        }
    }

    /// What carries it out.
    ///
    /// # Errors
    ///
    /// Why this machine cannot.
    pub fn prepare(
        self,
        hosts: &Hosts,
    ) -> Result<impl FnOnce() -> Result<(), String> + Send + use<>, String> {
        let place = match self {
            Self::OnQemu => Place::Disc,
            Self::OnBochs => Place::Bochs,
        };
        let (kernel, grub) = hosts.images()?;
        let emulator = hosts.emulator_on(place, MACHINE)?;
        let ready = Ready { emulator, kernel: kernel.clone(), grub };
        Ok(move || ready.run())
    }
}

impl Ready {
    fn run(&self) -> Result<(), String> {
        let words = |error: anyhow::Error| format!("{error:#}");
        let folder = PrivateDir::new().map_err(|error| error.to_string())?;
        let image = folder.path().join("latchwork.iso");
        build_with_every_scenario(&self.grub, &self.kernel, &image).map_err(words)?;
        let limits = Limits { over_at_end_record: true, ..Limits::from_silence_s(SILENCE_S) };
        let heard = self.emulator.boot_image(&image, MACHINE, limits).map_err(words)?;
        let failed: Vec<_> = heard.checks.iter().filter(|check| !check.held).collect();
        if heard.ended && !heard.checks.is_empty() && failed.is_empty() {
            return Ok(());
        }
        let tail = Vec::from(heard.tail).join("\n");
        Err(format!("{:?}, failed checks {failed:?}, the last serial lines:\n{tail}", heard.ending))
    }
}
