// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run`: boots scenarios and says whether they held.

mod lanes;
mod list;
mod progress;
mod promises;
mod report;
pub(crate) mod select;

use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::catalog::Scenario;
use crate::cli::Format;
use crate::error::UserError;
use crate::guest::bochs::{self, BochsHost};
use crate::guest::{Emulator, Host, Limits, install, kernel};
use crate::iso::grub;
use crate::machine::{Apic, Clock, MAX_CPUS, Machine, MachineType};
use progress::{Detail, Progress};
use report::Report;
use select::{Chosen, Selection, Skipped, Wanted};

/// Seconds without any output after which a guest hangs, unless `--time-limit-s` says otherwise.
const QEMU_SILENCE_S: u64 = 30;
/// The same on Bochs, whose BIOS and loader say nothing on the serial line.
const BOCHS_SILENCE_S: u64 = 120;
/// The most that `--time-limit-s` may say: a day.
const LONGEST_SILENCE_S: u64 = 24 * 60 * 60;

/// The emulator.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum EmulatorName {
    Qemu,
    Bochs,
}

impl EmulatorName {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Bochs => "bochs",
        }
    }
}

/// The options of `run`.
#[derive(Args, Debug)]
pub struct Options {
    /// The emulator; Bochs is stricter, and has no devices beyond a PC's own
    #[arg(long, value_enum, default_value_t = EmulatorName::Qemu)]
    emulator: EmulatorName,
    /// Kind of PC (default: q35 on QEMU; Bochs has pc only)
    #[arg(long, value_enum)]
    machine: Option<MachineType>,
    /// Number of CPUs, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_CPUS)))]
    cpus: u8,
    /// Mode of the local APICs
    #[arg(long, value_enum, default_value_t = Apic::Xapic)]
    apic: Apic,
    /// `deterministic`: one thread and an instruction clock; `parallel`: a host thread per CPU
    /// (default: deterministic, and Bochs has no other)
    #[arg(long, value_enum)]
    clock: Option<Clock>,
    /// Boot this scenario only (may be repeated; default: those that show every promise)
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Boot every scenario
    #[arg(long, conflicts_with = "scenario")]
    all_scenarios: bool,
    /// Make a deliberate mistake, which must turn its scenario red
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// List the scenarios and their faults, or those that are named, and boot nothing
    #[arg(
        long,
        conflicts_with_all = [
            "emulator", "machine", "cpus", "apic", "clock", "verbose", "yes", "time_limit_s"
        ]
    )]
    list: bool,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print the guests' whole logs as they come, one boot at a time
    #[arg(long)]
    verbose: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// A guest that writes nothing for so long hangs, 1 to 86400 seconds; a boot may last ten times
    /// as long (default: 30, on Bochs 120)
    #[arg(long, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=LONGEST_SILENCE_S))]
    time_limit_s: Option<u64>,
}

/// Boots the chosen scenarios; the value says whether all of them held.
///
/// # Errors
///
/// A [`crate::error::UserError`] if xtask cannot boot what the user asked for; others when the
/// kernel does not build or QEMU does not start.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if options.list {
        let selection = Selection::of(&options.scenario, options.fault.as_deref())?;
        list::print(&selection, options.format)?;
        return Ok(true);
    }
    let machine = options.machine()?;
    let wanted = options.wanted();
    let mut chosen = select::choose(wanted, options.fault.as_deref(), machine.cpus)?;
    match options.emulator {
        EmulatorName::Qemu => {
            let qemu = install::find_or_install(options.yes)?;
            qemu.require(machine)?;
            select::leave_out(&mut chosen, wanted, |scenario| qemu.refuses(scenario, machine))?;
            announce(&chosen);
            let host = Host { qemu, kernel: kernel::obtain()? };
            let report = Report::on_qemu(machine, &host);
            boot_all(options, &host, report, chosen, machine, QEMU_SILENCE_S)
        }
        EmulatorName::Bochs => {
            let refusal =
                |scenario: &Scenario| bochs::refuses(scenario).map(|error| error.to_string());
            select::leave_out(&mut chosen, wanted, refusal)?;
            announce(&chosen);
            let bochs = bochs::find_or_install(options.yes)?;
            let grub = grub::find_or_install(options.yes)?;
            let host = BochsHost { bochs, grub, kernel: kernel::obtain()? };
            let report = Report::on_bochs(machine, &host);
            boot_all(options, &host, report, chosen, machine, BOCHS_SILENCE_S)
        }
    }
}

/// Prints which scenarios it will not boot, before it boots any.
fn announce(chosen: &Chosen) {
    for Skipped { name, reason } in &chosen.skipped {
        eprintln!("{name}: skipped: {reason}");
    }
    for note in &chosen.notes {
        eprintln!("note: {note}");
    }
}

/// Boots every job, and prints the results; the value says whether all held.
fn boot_all(
    options: &Options,
    emulator: &dyn Emulator,
    mut report: Report,
    chosen: Chosen,
    machine: Machine,
    silence_s: u64,
) -> anyhow::Result<bool> {
    let limits = Limits::from_silence_s(options.time_limit_s.unwrap_or(silence_s));
    let (detail, lanes) = match options.verbose {
        true => (Detail::Verbose, 1),
        false => (Detail::Brief, lanes::at_a_time(machine).min(chosen.jobs.len())),
    };
    let many = match chosen.jobs.len() {
        1 => String::from("1 scenario"),
        many => format!("{many} scenarios, {lanes} at a time,"),
    };
    eprintln!("{many} on {}", report.place());
    let booted = lanes::work_through(chosen.jobs, lanes, |job| {
        let mut progress = Progress::begin(job.scenario, detail);
        let started = Instant::now();
        let outcome = emulator.run_job(job, machine, limits, &mut progress)?;
        progress.end(&outcome, started.elapsed());
        anyhow::Ok((outcome.report, progress.into_kernel_target()))
    })?;
    for (scenario, kernel_target) in booted {
        report.add(scenario, kernel_target);
    }
    report.leave_out(chosen.skipped, chosen.unasked);
    report.print(options.format)?;
    Ok(report.held())
}

impl Options {
    fn wanted(&self) -> Wanted<'_> {
        match (self.all_scenarios, self.scenario.as_slice()) {
            (true, _) => Wanted::All,
            (false, []) => Wanted::First,
            (false, names) => Wanted::Named(names),
        }
    }

    /// The machine that the user asks for.
    fn machine(&self) -> Result<Machine, UserError> {
        let (machine_type, clock) = match self.emulator {
            EmulatorName::Qemu => (
                self.machine.unwrap_or(MachineType::Q35),
                self.clock.unwrap_or(Clock::Deterministic),
            ),
            EmulatorName::Bochs => {
                let refuse = |what: &str| Err(UserError::NotOnBochs(what.to_owned()));
                if self.machine.is_some_and(|wanted| wanted != bochs::MACHINE_TYPE) {
                    return refuse("emulates the 440FX chipset only: leave --machine out");
                }
                if self.clock.is_some_and(|wanted| wanted != bochs::CLOCK) {
                    return refuse("has an instruction clock only: leave --clock out");
                }
                (bochs::MACHINE_TYPE, bochs::CLOCK)
            }
        };
        Ok(Machine { machine_type, cpus: self.cpus, apic: self.apic, clock })
    }
}
