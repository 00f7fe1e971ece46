// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a boot says, on standard error while it says it.

use crate::guest::Listener;
use crate::guest::command::shell_line;
use crate::guest::wire::{Line, Record};

/// Prints one scenario's boots.
#[derive(Debug)]
pub(super) struct Progress {
    scenario: &'static str,
    kernel_target: Option<String>,
}

impl Progress {
    pub(super) const fn new(scenario: &'static str) -> Self {
        Self { scenario, kernel_target: None }
    }

    /// The target that the guest says it was compiled for.
    pub(super) fn kernel_target(&self) -> Option<&str> {
        self.kernel_target.as_deref()
    }

    fn record(&mut self, record: &Record) {
        let scenario = self.scenario;
        match record {
            Record::Machine(machine) => {
                self.kernel_target = Some(machine.kernel_target.clone());
                eprintln!(
                    "{scenario}: {}, {} CPUs, {}, {}",
                    machine.machine, machine.cpus, machine.apic, machine.kernel_target
                );
            }
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
        eprintln!("\n{}: booting\n$ {}", self.scenario, shell_line(argv));
    }

    fn line(&mut self, line: &Line) {
        match line {
            Line::Human(text) => eprintln!("  | {text}"),
            Line::Unreadable(text) => eprintln!("  ? {text}"),
            Line::Record(record) => self.record(record),
        }
    }
}
