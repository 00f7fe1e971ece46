// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run`: boots scenarios and says whether they held.

mod list;
mod progress;
mod report;
pub(crate) mod select;

use clap::Args;

use crate::cli::Format;
use crate::guest::{Host, Limits, install, kernel};
use crate::machine::{Apic, Clock, MAX_CPUS, Machine, MachineType};
use progress::Progress;
use report::Report;

/// Seconds without any output after which a guest hangs, unless `--time-limit-s` says otherwise.
const DEFAULT_SILENCE_S: u64 = 30;

/// The options of `run`.
#[derive(Args, Debug)]
pub struct Options {
    /// Kind of PC
    #[arg(long, value_enum, default_value_t = MachineType::Q35)]
    machine: MachineType,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_CPUS)))]
    cpus: u8,
    /// Mode of the local APICs
    #[arg(long, value_enum, default_value_t = Apic::Xapic)]
    apic: Apic,
    /// `deterministic`: one thread and an instruction clock; `parallel`: a host thread per CPU
    #[arg(long, value_enum, default_value_t = Clock::Deterministic)]
    clock: Clock,
    /// Boot this scenario only (may be repeated)
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Make a deliberate mistake, which must turn its scenario red
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// List the scenarios and their faults, and boot nothing
    #[arg(long)]
    list: bool,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Install a missing QEMU without asking
    #[arg(long)]
    yes: bool,
    /// A guest that writes nothing for so long hangs; a boot may last ten times as long
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_SILENCE_S, value_parser = clap::value_parser!(u64).range(1..))]
    time_limit_s: u64,
}

/// Boots what was chosen; the value says whether all of it held.
///
/// # Errors
///
/// A [`crate::error::UserError`] for what cannot be booted as asked; others when the kernel does not build or QEMU does not start.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if options.list {
        list::print(options.format)?;
        return Ok(true);
    }
    let machine = Machine {
        machine_type: options.machine,
        cpus: options.cpus,
        apic: options.apic,
        clock: options.clock,
    };
    let chosen = select::choose(&options.scenario, options.fault.as_deref(), machine.cpus)?;
    for note in &chosen.notes {
        eprintln!("note: {note}");
    }
    let qemu = install::find_or_install(options.yes)?;
    qemu.require(machine.apic)?;
    let host = Host { qemu, kernel: kernel::obtain()? };

    let mut report = Report::new(machine, &host);
    for job in chosen.jobs {
        let mut progress = Progress::new(job.scenario.name);
        let outcome = host.run_job(
            job,
            machine,
            Limits::from_silence_s(options.time_limit_s),
            &mut progress,
        )?;
        for tail in &outcome.tails {
            eprint!("{tail}");
        }
        report.add(outcome.report, progress.kernel_target());
    }
    report.print(options.format)?;
    Ok(report.held())
}
