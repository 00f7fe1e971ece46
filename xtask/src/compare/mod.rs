// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask compare`: the same sequences of rings in the simulated machine and by the reference
//! kernel under QEMU, or Bochs.
//!
//! Both sides generate a sequence from its seed, and log what happens by the same code. This module
//! compares the logs.

mod differences;
mod guest;
mod simulation;

use clap::{Args, ValueEnum};

use crate::machine::Apic;
use crate::run::EmulatorName;
use crate::workspace;
pub(crate) use differences::agree;
use differences::{Comparison, Difference};
pub(crate) use guest::Guest;
pub(crate) use simulation::{build as build_simulation, play as play_simulated};

/// How many differences are printed whole.
const PRINTED: usize = 3;

/// The most sequences that one boot plays.
const MOST_SEQUENCES: u64 = 1_000_000;

/// How the library pays owed polls.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Recovery {
    Poll,
    Probe,
}

impl Recovery {
    const ALL: [Self; 2] = [Self::Poll, Self::Probe];

    const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Probe => "probe",
        }
    }
}

/// When edges land in the simulated machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Landing {
    /// As soon as they can, as with the emulators.
    AtOnce,
    /// When no CPU goes on any more.
    Late,
}

impl Landing {
    const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::Late => "late",
        }
    }
}

/// The options of `compare`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The emulator that boots the kernel
    #[arg(long, value_enum, default_value_t = EmulatorName::Qemu)]
    emulator: EmulatorName,
    /// How many sequences on each machine and with each way of recovery, 1 to 1000000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(1..=MOST_SEQUENCES)
    )]
    sequences: u64,
    /// The seed of the first one; the others follow
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first_seed: u64,
    /// Only on a machine of so many CPUs: 1 or 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    cpus: Option<u8>,
    /// Only with this way of recovery
    #[arg(long, value_enum)]
    recovery: Option<Recovery>,
    /// Mode of the local APICs
    #[arg(long, value_enum, default_value_t = Apic::Xapic)]
    apic: Apic,
    /// When edges land in the simulated machine: it can make them land late, and the emulators
    /// cannot
    #[arg(long, value_enum, default_value_t = Landing::AtOnce)]
    landing: Landing,
    /// Make a deliberate mistake of scenario `sequences` in the kernel, which must show as
    /// differences
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// Print both logs of each sequence, also where they agree
    #[arg(long)]
    logs: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
}

/// One run of both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) first_seed: u64,
    pub(crate) sequences: u64,
    pub(crate) cpus: u8,
    pub(crate) recovery: Recovery,
    pub(crate) apic: Apic,
    pub(crate) landing: Landing,
    pub(crate) emulator: EmulatorName,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            first_seed: 0,
            sequences: 1,
            cpus: 1,
            recovery: Recovery::Poll,
            apic: Apic::Xapic,
            landing: Landing::AtOnce,
            emulator: EmulatorName::Qemu,
        }
    }
}

impl Setting {
    /// The command that runs the sequence of `seed` again.
    fn replay(&self, seed: u64) -> String {
        format!(
            "cargo xtask compare --logs --sequences 1 --first-seed {seed} --cpus {} --recovery {} \
             --apic {} --landing {} --emulator {}",
            self.cpus,
            self.recovery.name(),
            self.apic.name(),
            self.landing.name(),
            self.emulator.name()
        )
    }
}

/// Compares; the value says whether both sides did the same.
///
/// # Errors
///
/// When a side cannot be built or run, or does not play all sequences.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let fault = options.fault.as_deref().map(guest::fault_named).transpose()?;
    let program = simulation::build(workspace::root(), &workspace::target_dir())?;
    let guest = Guest::obtain(options.emulator, options.apic, fault, options.yes)?;
    let mut all_agree = true;
    for cpus in options.cpus.map_or(vec![1, 2], |cpus| vec![cpus]) {
        for recovery in options.recovery.map_or(Recovery::ALL.to_vec(), |recovery| vec![recovery]) {
            let Options { first_seed, sequences, apic, landing, emulator, .. } = *options;
            let setting =
                Setting { first_seed, sequences, cpus, recovery, apic, landing, emulator };
            let simulated = simulation::play(&program, &setting)?;
            let emulated = guest.play(&setting)?;
            let comparison = Comparison::of(&simulated, &emulated);
            print(&setting, &comparison, options.logs);
            all_agree &= comparison.agrees();
        }
    }
    Ok(all_agree)
}

fn print(setting: &Setting, comparison: &Comparison<'_>, logs: bool) {
    let Setting { cpus, recovery, .. } = setting;
    let differences = &comparison.differences;
    let sums = &comparison.sums;
    println!(
        "{cpus} CPU(s), recovery by {}: {} sequences, {} steps, {} NMIs dispatched, {} conditions \
         claimed, \
         {} edges absorbed, {} deferred, {} unknown: {}",
        recovery.name(),
        comparison.sequences,
        sums.steps,
        sums.dispatches,
        sums.claims,
        sums.absorbed,
        sums.deferred,
        sums.unknown,
        match differences.len() {
            0 => String::from("both did the same"),
            1 => String::from("1 DIFFERENCE"),
            many => format!("{many} DIFFERENCES"),
        }
    );
    if logs {
        comparison.agreeing.iter().for_each(|pair| println!("{}", differences::side_by_side(pair)));
    }
    let printed = if logs { differences.len() } else { PRINTED };
    for Difference { pair, line } in differences.iter().take(printed) {
        println!("\nThe sequence of seed {} differs from line {line} on:", pair.seed());
        println!("{}", differences::side_by_side(pair));
        println!("Again: {}", setting.replay(pair.seed()));
    }
    if differences.len() > printed {
        let seeds: Vec<_> = differences[printed..]
            .iter()
            .map(|difference| difference.pair.seed().to_string())
            .collect();
        println!("\nSo do those of seeds {}", seeds.join(", "));
    }
}
