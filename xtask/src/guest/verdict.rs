// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verdict on a boot's transcript.

use std::collections::BTreeSet;

use serde::Serialize;

use super::boot::{Ending, Transcript};
use super::wire::{Check, Totals};
use crate::catalog::Boot;
use crate::machine::Machine;

/// QEMU's exit status after the guest wrote "ended in order" to the debug exit port.
const EXIT_IN_ORDER: i32 = 33;
/// The same after a kernel panic or an unexpected exception.
const EXIT_PANIC: i32 = 35;
/// The same after a deliberate stop by the unknown policy.
const EXIT_STOPPED: i32 = 37;
/// QEMU's exit status when the machine resets itself: the debug exit device never gives an even
/// one, and the guest has no other reason to reset than a triple fault.
const EXIT_RESET: i32 = 0;

/// One scenario's verdict, as printed.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioReport {
    /// The scenario's name.
    pub name: String,
    /// Whether every boot ended as it should and every check held.
    pub held: bool,
    /// Sums over the scenario's boots.
    #[serde(flatten)]
    pub totals: Totals,
    /// What it was booted with, in order.
    pub boots: Vec<BootReport>,
    /// Every check of every boot.
    pub checks: Vec<Check>,
}

/// One boot of a scenario, as printed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct BootReport {
    /// The unknown policy.
    pub policy: &'static str,
    /// Further words of the command line.
    pub words: &'static str,
    /// Whether it ended as it should and every check held.
    pub held: bool,
}

/// A boot that did not get to its end, so that its guest could not judge itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Breakage {
    /// It made no progress.
    Hung,
    /// The machine reset itself.
    TripleFaulted,
    /// The kernel panicked or took an exception that it did not expect.
    Panicked,
    /// Anything else: QEMU failed, records were damaged or missing, the machine is not what was
    /// asked for.
    OutOfOrder,
}

/// A report and its details.
#[derive(Clone, Debug)]
pub struct ScenarioOutcome {
    /// The verdict.
    pub report: ScenarioReport,
    /// What broke, in the boots that did.
    pub breakages: Vec<Breakage>,
    /// The last serial lines of each boot that did not hold, under a heading.
    pub tails: Vec<String>,
}

/// One boot's verdict.
#[derive(Debug)]
pub(crate) struct BootVerdict {
    checks: Vec<Check>,
    totals: Totals,
    breakages: Vec<Breakage>,
}

impl BootVerdict {
    fn held(&self) -> bool {
        self.checks.iter().all(|check| check.held)
    }

    fn broke(&mut self, breakage: Breakage, name: &str, expected: &str, saw: String) {
        self.breakages.push(breakage);
        self.checks.push(Check {
            name: name.to_owned(),
            held: false,
            expected: expected.to_owned(),
            saw,
        });
    }
}

/// Judges one boot on `machine`.
pub(crate) fn judge(boot: &Boot, machine: Machine, heard: &Transcript) -> BootVerdict {
    let mut verdict = BootVerdict {
        checks: heard.checks.clone(),
        totals: heard.totals.unwrap_or_default(),
        breakages: Vec::new(),
    };
    judge_machine(machine, heard, &mut verdict);
    if let Some(line) = heard.unreadable.first() {
        let saw = format!("{} damaged, the first: {line}", heard.unreadable.len());
        verdict.broke(Breakage::OutOfOrder, "records-readable", "every record whole", saw);
    }
    if judge_ending(heard, &mut verdict) {
        if boot.expect_stop {
            verdict.checks.push(stopped_by_policy(heard));
        } else {
            judge_completeness(heard, &mut verdict);
        }
    }
    verdict
}

fn judge_machine(machine: Machine, heard: &Transcript, verdict: &mut BootVerdict) {
    let expected =
        format!("{}, {} CPUs, {}", machine.machine_type.name(), machine.cpus, machine.apic.name());
    let saw = match &heard.machine {
        Some(guest) => format!("{}, {} CPUs, {}", guest.machine, guest.cpus, guest.apic),
        None => String::from("no machine record"),
    };
    if saw == expected {
        verdict.checks.push(Check {
            name: String::from("machine-as-asked"),
            held: true,
            expected,
            saw,
        });
    } else {
        verdict.broke(Breakage::OutOfOrder, "machine-as-asked", &expected, saw);
    }
}

/// Whether the guest got to an end of its own choosing.
fn judge_ending(heard: &Transcript, verdict: &mut BootVerdict) -> bool {
    if let Some(why) = heard.unanswered.as_ref().filter(|_| !heard.broke_by_itself()) {
        let expected = "the host gives what the guest asks for";
        verdict.broke(Breakage::OutOfOrder, "asks-answered", expected, why.clone());
        return false;
    }
    let status = match &heard.ending {
        Ending::GivenUp { why } => {
            verdict.broke(
                Breakage::Hung,
                "guest-hung",
                "an end within the time limit",
                why.clone(),
            );
            return false;
        }
        Ending::Exited(status) => *status,
    };
    match status.code() {
        Some(EXIT_IN_ORDER | EXIT_STOPPED) => return true,
        Some(EXIT_PANIC) => {
            let words: Vec<_> =
                heard.tail.iter().filter_map(|line| line.strip_prefix("PANIC ")).collect();
            let saw = if words.is_empty() {
                format!("exit status {EXIT_PANIC}")
            } else {
                words.join("; ")
            };
            verdict.broke(Breakage::Panicked, "guest-panicked", "no panic", saw);
        }
        Some(EXIT_RESET) if !heard.emulator_messages.contains("terminating on signal") => {
            let saw = String::from("the machine reset itself");
            verdict.broke(Breakage::TripleFaulted, "guest-triple-faulted", "no triple fault", saw);
        }
        _ => {
            let messages = heard.emulator_messages.trim();
            let saw = if messages.is_empty() {
                status.to_string()
            } else {
                format!("{status}: {messages}")
            };
            verdict.broke(
                Breakage::OutOfOrder,
                "emulator-ended-in-order",
                "exit by the guest's own word",
                saw,
            );
        }
    }
    false
}

/// The check of a boot that holds by stopping.
fn stopped_by_policy(heard: &Transcript) -> Check {
    let text = heard.report.join("\n").to_lowercase();
    let missing: Vec<_> =
        ["unknown", "cpu", "ip 0x"].into_iter().filter(|word| !text.contains(word)).collect();
    let stopped_status = heard.ending_code() == Some(EXIT_STOPPED);
    let saw = match &heard.stopped {
        None => format!("no stop, exit status {}", heard.ending_code().unwrap_or_default()),
        Some(reason) if !stopped_status => format!("stop ({reason}) without its exit status"),
        Some(_) if !missing.is_empty() => format!("a report without: {}", missing.join(", ")),
        Some(reason) => format!("stopped: {reason}"),
    };
    Check {
        name: String::from("stopped-by-policy"),
        held: heard.stopped.is_some() && stopped_status && missing.is_empty(),
        expected: String::from(
            "a report that names the unknown NMI, its CPU and its IP, then a stop",
        ),
        saw,
    }
}

/// A boot that ends in order says so, sums up, and has checked something.
fn judge_completeness(heard: &Transcript, verdict: &mut BootVerdict) {
    let mut lacking = Vec::new();
    if heard.ending_code() != Some(EXIT_IN_ORDER) {
        lacking.push(format!("exit status {EXIT_IN_ORDER}"));
    }
    if heard.checks.is_empty() {
        lacking.push(String::from("any check"));
    }
    if heard.totals.is_none() {
        lacking.push(String::from("totals"));
    }
    if !heard.ended {
        lacking.push(String::from("the end record"));
    }
    if !lacking.is_empty() {
        let saw = format!("nothing of: {}", lacking.join(", "));
        verdict.broke(
            Breakage::OutOfOrder,
            "scenario-complete",
            "checks, totals, end record, exit status 33",
            saw,
        );
    }
}

impl Transcript {
    /// Whether QEMU exited with a status that the guest did not choose.
    fn broke_by_itself(&self) -> bool {
        match &self.ending {
            Ending::Exited(status) => !matches!(status.code(), Some(EXIT_IN_ORDER | EXIT_STOPPED)),
            Ending::GivenUp { .. } => false,
        }
    }

    fn ending_code(&self) -> Option<i32> {
        match &self.ending {
            Ending::Exited(status) => status.code(),
            Ending::GivenUp { .. } => None,
        }
    }
}

/// The label that distinguishes a boot from the others of its scenario.
fn label(boot: &Boot) -> String {
    format!("{} {}", boot.policy, boot.words).trim_end().to_owned()
}

/// Merges a scenario's boots into one report. Where several boots use a check's name, it adds the
/// boot's policy and words.
pub(crate) fn merge(name: &str, boots: Vec<(&Boot, BootVerdict, Transcript)>) -> ScenarioOutcome {
    let clashing = clashing_names(&boots);
    let mut outcome = ScenarioOutcome {
        report: ScenarioReport {
            name: name.to_owned(),
            held: true,
            totals: Totals::default(),
            boots: Vec::new(),
            checks: Vec::new(),
        },
        breakages: Vec::new(),
        tails: Vec::new(),
    };
    for (boot, verdict, heard) in boots {
        let Boot { policy, words, .. } = *boot;
        outcome.report.boots.push(BootReport { policy, words, held: verdict.held() });
        if !verdict.held() {
            outcome.report.held = false;
            outcome.tails.push(tail_of(name, boot, &heard));
        }
        outcome.report.totals.add(verdict.totals);
        outcome.breakages.extend(verdict.breakages);
        outcome.report.checks.extend(verdict.checks.into_iter().map(|mut check| {
            if clashing.contains(&check.name) {
                check.name = format!("{}: {}", label(boot), check.name);
            }
            check
        }));
    }
    outcome.report.held &= !outcome.report.checks.is_empty();
    outcome
}

fn clashing_names(boots: &[(&Boot, BootVerdict, Transcript)]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut clashing = BTreeSet::new();
    for (_, verdict, _) in boots {
        let names: BTreeSet<_> = verdict.checks.iter().map(|check| check.name.clone()).collect();
        clashing.extend(names.intersection(&seen).cloned());
        seen.extend(names);
    }
    clashing
}

fn tail_of(name: &str, boot: &Boot, heard: &Transcript) -> String {
    let mut text = format!("--- the last serial lines of {name} (policy {}) ---\n", label(boot));
    for line in &heard.tail {
        text.push_str(line);
        text.push('\n');
    }
    if !heard.emulator_messages.trim().is_empty() {
        text.push_str("--- and the emulator itself said ---\n");
        text.push_str(heard.emulator_messages.trim());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
