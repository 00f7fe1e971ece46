// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequences of rings in the mutated simulated machine, and by the true kernel under QEMU, as the
//! check that catches a mutant.

use std::path::PathBuf;

use super::check::Verdict;
use super::tree::Tree;
use crate::compare::{self, Guest, Setting};

/// How many sequences it compares.
const SEQUENCES: u64 = 50;

/// The simulated machine of the copied source, and the true kernel.
#[derive(Debug)]
pub(super) struct Sides {
    program: PathBuf,
    guest: Guest,
    setting: Setting,
}

impl Sides {
    /// Builds both, for sequences on `cpus` CPUs.
    pub(super) fn build(cpus: u8, tree: &Tree) -> anyhow::Result<Self> {
        let program = compare::build_simulation(&tree.source(), &tree.build_dir("simulation"))?;
        let setting = Setting { cpus, sequences: SEQUENCES, ..Setting::default() };
        let guest = match tree.qemu() {
            Some(qemu) => Guest::on_qemu(qemu.clone(), setting.apic, None)?,
            None => Guest::obtain(setting.emulator, setting.apic, None, false)?,
        };
        Ok(Self { program, guest, setting })
    }

    /// Plays the sequences on both, and compares.
    pub(super) fn run(&self) -> anyhow::Result<Verdict> {
        let simulated = match compare::play_simulated(&self.program, &self.setting) {
            Ok(simulated) => simulated,
            Err(error) => return Ok(Verdict::Strange(format!("{error:#}"))),
        };
        let emulated = self.guest.play(&self.setting)?;
        Ok(match compare::agree(&simulated, &emulated) {
            true => Verdict::Passed,
            false => Verdict::Failed,
        })
    }
}
