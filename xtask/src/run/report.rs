// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result of `run`, as a table or as JSON.

use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use super::select::Skipped;
use crate::cli::Format;
use crate::guest::bochs::BochsHost;
use crate::guest::kernel::Kernel;
use crate::guest::{Host, ScenarioReport};
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::table;

/// The whole report of `run`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    machine: MachineReport,
    scenarios: Vec<ScenarioReport>,
    /// What the user asked for and `run` could not boot.
    skipped: Vec<Skipped>,
    /// How many scenarios there are that the user did not ask for.
    unasked: usize,
    held: bool,
}

#[derive(Debug, Serialize)]
struct MachineReport {
    machine: MachineType,
    cpus: u8,
    apic: Apic,
    clock: Clock,
    /// Of the two, the one that it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    qemu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bochs: Option<String>,
    kernel_target: String,
}

impl Report {
    pub(super) fn on_qemu(machine: Machine, host: &Host) -> Self {
        let version = host.qemu.version().to_string();
        Self::new(MachineReport { qemu: Some(version), ..MachineReport::of(machine, &host.kernel) })
    }

    pub(super) fn on_bochs(machine: Machine, host: &BochsHost) -> Self {
        let version = host.bochs.version().to_owned();
        Self::new(MachineReport {
            bochs: Some(version),
            ..MachineReport::of(machine, &host.kernel)
        })
    }

    fn new(machine: MachineReport) -> Self {
        Self {
            schema: 1,
            machine,
            scenarios: Vec::new(),
            skipped: Vec::new(),
            unasked: 0,
            held: false,
        }
    }

    /// Adds a scenario, and the kernel's target, as its guest says.
    pub(super) fn add(&mut self, scenario: ScenarioReport, kernel_target: Option<String>) {
        self.scenarios.push(scenario);
        self.held = self.scenarios.iter().all(|scenario| scenario.held);
        if let Some(target) = kernel_target {
            self.machine.kernel_target = target;
        }
    }

    /// Notes what `run` does not boot: what it cannot, and how many the user did not ask for.
    pub(super) fn leave_out(&mut self, skipped: Vec<Skipped>, unasked: usize) {
        self.skipped = skipped;
        self.unasked = unasked;
    }

    /// The machine and its emulator, in words.
    pub(super) fn place(&self) -> String {
        let MachineReport { machine, cpus, apic, clock, .. } = self.machine;
        format!(
            "{}, {}",
            Machine { machine_type: machine, cpus, apic, clock },
            self.machine.emulator()
        )
    }

    /// Whether there was at least one scenario and all of them held.
    pub(super) const fn held(&self) -> bool {
        self.held
    }

    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => println!("{}", serde_json::to_string(self)?),
            Format::Table => {
                eprintln!();
                print!("{}", self.table());
            }
        }
        Ok(())
    }

    fn table(&self) -> String {
        let mut text = format!("{}, kernel for {}\n", self.place(), self.machine.kernel_target);
        text.push_str(&format!("{}\n", self.scenario_table(table::width())));
        for scenario in &self.scenarios {
            for check in scenario.checks.iter().filter(|check| !check.held) {
                let line = format!(
                    "{}: {}: expected {}, saw {}\n",
                    scenario.name, check.name, check.expected, check.saw
                );
                text.push_str(&line);
            }
        }
        for Skipped { name, reason } in &self.skipped {
            text.push_str(&format!("{name}: skipped: {reason}\n"));
        }
        if self.unasked > 0 {
            text.push_str(&format!("{} more scenarios: --all-scenarios\n", self.unasked));
        }
        text.push_str(match (self.held, self.skipped.len()) {
            (true, 0) => "held\n",
            (true, _) => "held, but for what was skipped\n",
            (false, _) => "NOT held\n",
        });
        text
    }

    fn scenario_table(&self, width: u16) -> Table {
        let mut table = table::of_width(
            width,
            ["scenario", "held", "checks", "NMIs", "claimed", "absorbed", "unknown", "lost"],
        );
        for scenario in &self.scenarios {
            let held = scenario.checks.iter().filter(|check| check.held).count();
            let totals = &scenario.totals;
            let numbers = [
                format!("{held}/{}", scenario.checks.len()),
                totals.nmis.to_string(),
                totals.claimed.to_string(),
                totals.absorbed.to_string(),
                totals.unknown.to_string(),
                totals.lost.to_string(),
            ];
            let mut row = vec![
                Cell::new(&scenario.name),
                Cell::new(if scenario.held { "yes" } else { "NO" }),
            ];
            row.extend(numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right)));
            table.add_row(row);
        }
        for Skipped { name, .. } in &self.skipped {
            table.add_row([*name, "skipped"]);
        }
        table
    }
}

impl MachineReport {
    fn of(machine: Machine, kernel: &Kernel) -> Self {
        let Machine { machine_type, cpus, apic, clock } = machine;
        let kernel_target = kernel.target.clone().unwrap_or_else(|| String::from("unknown"));
        Self { machine: machine_type, cpus, apic, clock, qemu: None, bochs: None, kernel_target }
    }

    fn emulator(&self) -> String {
        let named = |name: &str, version: &String| format!("{name} {version}");
        let qemu = self.qemu.iter().map(|version| named("QEMU", version));
        qemu.chain(self.bochs.iter().map(|version| named("Bochs", version))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;
    use crate::guest::BootReport;
    use crate::guest::wire::{Check, Totals};

    fn scenario(held: bool) -> ScenarioReport {
        let check = Check { name: "c".into(), held, expected: "1".into(), saw: "0".into() };
        let totals = Totals { nmis: 7, claimed: 6, absorbed: 1, unknown: 0, lost: 0 };
        let boot = BootReport { policy: "report", words: "key=value", held };
        ScenarioReport { name: "s".into(), held, totals, boots: vec![boot], checks: vec![check] }
    }

    fn report() -> Report {
        let machine = MachineReport {
            machine: MachineType::Q35,
            cpus: 4,
            apic: Apic::Xapic,
            clock: Clock::Deterministic,
            qemu: Some("10.0.2".into()),
            bochs: None,
            kernel_target: "unknown".into(),
        };
        Report::new(machine)
    }

    #[test]
    fn nothing_booted_is_nothing_held() {
        assert!(!report().held());
    }

    #[test]
    fn one_scenario_that_does_not_hold_is_enough() {
        let mut report = report();
        report.add(scenario(true), None);
        assert!(report.held());
        report.add(scenario(false), None);
        report.add(scenario(true), None);
        assert!(!report.held());
        assert!(report.table().contains("s: c: expected 1, saw 0\nNOT held\n"));
    }

    #[test]
    fn what_is_skipped_is_told_and_is_no_failure() {
        let mut report = report();
        report.add(scenario(true), None);
        report.leave_out(vec![Skipped { name: "t", reason: String::from("too old") }], 3);
        assert!(report.held());
        let text = report.table();
        assert!(text.lines().any(|line| line.contains("t ") && line.contains("skipped")), "{text}");
        assert!(
            text.contains("\nt: skipped: too old\n3 more scenarios: --all-scenarios\nheld, but")
        );
    }

    #[test]
    fn every_name_is_in_one_piece_on_a_narrow_terminal() {
        let mut report = report();
        for known in SCENARIOS {
            let totals = Totals { nmis: 999_999, claimed: 999_999, ..Totals::default() };
            report.add(ScenarioReport { name: known.name.into(), totals, ..scenario(true) }, None);
        }
        report.leave_out(vec![Skipped { name: "t", reason: String::new() }], 0);
        let table = report.scenario_table(80).to_string();
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{table}");
        assert!(SCENARIOS.iter().all(|known| table.contains(known.name)), "{table}");
        assert_eq!(table.lines().count(), 1 + SCENARIOS.len() + 1, "a row has two lines:\n{table}");
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let mut report = report();
        report.add(scenario(true), Some(String::from("x86_64-unknown-none")));
        report.leave_out(vec![Skipped { name: "t", reason: String::from("why") }], 2);
        let expected = r#"{"schema":1,"machine":{"machine":"q35","cpus":4,"apic":"xapic","clock":"deterministic","qemu":"10.0.2","kernel_target":"x86_64-unknown-none"},"scenarios":[{"name":"s","held":true,"nmis":7,"claimed":6,"absorbed":1,"unknown":0,"lost":0,"boots":[{"policy":"report","words":"key=value","held":true}],"checks":[{"name":"c","held":true,"expected":"1","saw":"0"}]}],"skipped":[{"name":"t","reason":"why"}],"unasked":2,"held":true}"#;
        assert_eq!(serde_json::to_string(&report).expect("serializable"), expected);
    }
}
