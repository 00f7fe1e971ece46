// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress on standard error while scenarios boot: a line when one begins and when it is over, or
//! everything.

use std::time::Duration;

use crate::catalog::Scenario;
use crate::guest::command::shell_line;
use crate::guest::wire::{Line, Record};
use crate::guest::{Listener, ScenarioOutcome};

/// How much to print.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    /// When a scenario begins and when it is over, and the end of the log of one that did not hold.
    Brief,
    /// Every line of the guest, as it comes.
    Verbose,
}

/// One scenario's boots.
#[derive(Debug)]
pub(super) struct Progress {
    scenario: &'static Scenario,
    detail: Detail,
    kernel_target: Option<String>,
    /// How each boot was started.
    commands: Vec<String>,
}

impl Progress {
    /// The scenario begins.
    pub(super) fn begin(scenario: &'static Scenario, detail: Detail) -> Self {
        eprintln!("{}: {}", scenario.name, scenario.summary);
        Self { scenario, detail, kernel_target: None, commands: Vec::new() }
    }

    /// The scenario is over.
    pub(super) fn end(&self, outcome: &ScenarioOutcome, took: Duration) {
        eprint!("{}", self.conclusion(outcome, took));
    }

    /// The target that the guest says it was compiled for.
    pub(super) fn into_kernel_target(self) -> Option<String> {
        self.kernel_target
    }

    /// The text in one piece, so that lines of other scenarios cannot come in between.
    fn conclusion(&self, outcome: &ScenarioOutcome, took: Duration) -> String {
        let report = &outcome.report;
        let verdict = if report.held { "held" } else { "NOT held" };
        let (checks, nmis) = (report.checks.len(), report.totals.nmis);
        let name = self.scenario.name;
        let mut text = format!(
            "{name}: {verdict}: {checks} checks, {nmis} NMIs, {:.1} s\n",
            took.as_secs_f64()
        );
        if report.held {
            return text;
        }
        if self.detail == Detail::Brief {
            self.commands.iter().for_each(|command| text.push_str(&format!("$ {command}\n")));
        }
        outcome.tails.iter().for_each(|tail| text.push_str(tail));
        for check in report.checks.iter().filter(|check| !check.held) {
            text.push_str(&format!(
                "{name}: FAILED  {}: expected {}, saw {}\n",
                check.name, check.expected, check.saw
            ));
        }
        text
    }

    fn record(&self, record: &Record) {
        let scenario = self.scenario.name;
        match record {
            Record::Machine(machine) => eprintln!(
                "{scenario}: {}, {} CPUs, {}, {}",
                machine.machine, machine.cpus, machine.apic, machine.kernel_target
            ),
            Record::Progress { done, of } => eprintln!("{scenario}: {done} of {of}"),
            Record::Check(check) if check.held => {
                eprintln!("{scenario}: held    {}: {}", check.name, check.saw)
            }
            Record::Check(check) => {
                eprintln!(
                    "{scenario}: FAILED  {}: expected {}, saw {}",
                    check.name, check.expected, check.saw
                );
            }
            Record::Totals(totals) => {
                eprintln!("{scenario}: {} NMIs, {} claimed", totals.nmis, totals.claimed)
            }
            Record::Played(_) => {}
            Record::Ask { press, .. } => {
                eprintln!("{scenario}: asks for the NMI button, presses: {press}")
            }
            Record::End => eprintln!("{scenario}: over"),
            Record::Exit { status } => eprintln!("{scenario}: exit status {status}"),
            Record::Stopped { reason } => eprintln!("{scenario}: stopped: {reason}"),
        }
    }
}

impl Listener for Progress {
    fn booting(&mut self, argv: &[String]) {
        let command = shell_line(argv);
        if self.detail == Detail::Verbose {
            eprintln!("\n{}: booting\n$ {command}", self.scenario.name);
        }
        self.commands.push(command);
    }

    fn line(&mut self, line: &Line) {
        if let Line::Record(Record::Machine(machine)) = line {
            self.kernel_target = Some(machine.kernel_target.clone());
        }
        if self.detail == Detail::Brief {
            return;
        }
        match line {
            Line::Human(text) => eprintln!("  | {text}"),
            Line::Unreadable(text) => eprintln!("  ? {text}"),
            Line::Record(record) => self.record(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;
    use crate::guest::ScenarioReport;
    use crate::guest::wire::{Check, Totals};

    fn outcome(held: bool) -> ScenarioOutcome {
        let check = Check { name: "c".into(), held, expected: "1".into(), saw: "0".into() };
        let totals = Totals { nmis: 7, ..Totals::default() };
        let [scenario, ..] = SCENARIOS else { panic!("no scenario") };
        let name = scenario.name.to_owned();
        ScenarioOutcome {
            report: ScenarioReport { name, held, totals, boots: Vec::new(), checks: vec![check] },
            breakages: Vec::new(),
            tails: if held { Vec::new() } else { vec![String::from("--- tail ---\n")] },
        }
    }

    fn conclusion(detail: Detail, held: bool) -> String {
        let [scenario, ..] = SCENARIOS else { panic!("no scenario") };
        let mut progress = Progress::begin(scenario, detail);
        progress.booting(&["my-qemu", "-machine", "q35"].map(str::to_owned));
        progress.conclusion(&outcome(held), Duration::from_millis(1250))
    }

    #[test]
    fn what_holds_is_one_line() {
        let text = conclusion(Detail::Brief, true);
        assert_eq!(text, "shared-source: held: 1 checks, 7 NMIs, 1.2 s\n");
    }

    #[test]
    fn what_does_not_hold_is_told_with_command_log_and_checks() {
        let text = conclusion(Detail::Brief, false);
        let expected = "shared-source: NOT held: 1 checks, 7 NMIs, 1.2 s\n\
            $ my-qemu -machine q35\n--- tail ---\n\
            shared-source: FAILED  c: expected 1, saw 0\n";
        assert_eq!(text, expected);
        assert!(!conclusion(Detail::Verbose, false).contains('$'));
    }
}
