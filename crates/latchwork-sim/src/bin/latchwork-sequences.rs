// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays sequences of rings in the simulated machine. `cargo xtask compare` builds and runs it.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use latchwork_sequence::generate;
use latchwork_sim::{
    machine::Apic,
    policy,
    sequence::{self, Manner},
};
use serde_json::json;

/// Plays sequences of rings in the simulated machine, and prints a JSON line for each.
#[derive(Debug, Parser)]
#[command(name = "latchwork-sequences")]
struct Options {
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// How many sequences
    #[arg(long, default_value_t = 1)]
    sequences: u64,
    /// On how many CPUs
    #[arg(long, default_value_t = 1)]
    cpus: usize,
    /// How the library pays what it owes
    #[arg(long, value_enum, default_value_t = Recovery::Poll)]
    recovery: Recovery,
    /// The mode of the local APICs
    #[arg(long, value_enum, default_value_t = ApicMode::Xapic)]
    apic: ApicMode,
    /// When edges land
    #[arg(long, value_enum, default_value_t = Landing::AtOnce)]
    landing: Landing,
    /// Print for people
    #[arg(long)]
    readable: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Recovery {
    Poll,
    Probe,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ApicMode {
    Xapic,
    X2apic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Landing {
    AtOnce,
    Late,
}

impl Options {
    fn manner(&self) -> Manner {
        Manner {
            cpus: self.cpus,
            apic: match self.apic {
                ApicMode::Xapic => Apic::X,
                ApicMode::X2apic => Apic::X2,
            },
            recovery: match self.recovery {
                Recovery::Poll => policy::Recovery::Poll,
                Recovery::Probe => policy::Recovery::Probe,
            },
            landing: match self.landing {
                Landing::AtOnce => sequence::Landing::AtOnce,
                Landing::Late => sequence::Landing::Late,
            },
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    for seed in options.first_seed..options.first_seed.saturating_add(options.sequences) {
        let performance = match sequence::perform(seed, &options.manner()) {
            Ok(performance) => performance,
            Err(error) => {
                eprintln!("error: the sequence of seed {seed}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let script = generate(seed, options.cpus).to_string();
        let played = performance.played;
        if options.readable {
            println!("sequence {seed}:\n  {}", script.replace("; ", "\n  "));
            println!("log:\n  {}", performance.log.replace("; ", "\n  "));
            println!("{played:?}");
            continue;
        }
        let line = json!({
            "seed": seed,
            "steps": played.steps,
            "dispatches": played.dispatches,
            "claims": played.claims,
            "absorbed": played.absorbed,
            "deferred": played.deferred,
            "unknown": played.unknown,
            "log": performance.log,
        });
        println!("{line}");
    }
    ExitCode::SUCCESS
}
