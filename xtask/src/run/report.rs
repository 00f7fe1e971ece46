// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result of `run`, as a table or as JSON.

use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::cli::Format;
use crate::guest::bochs::BochsHost;
use crate::guest::kernel::Kernel;
use crate::guest::{Host, ScenarioReport};
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::table;

/// Everything that `run` has to say.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    machine: MachineReport,
    scenarios: Vec<ScenarioReport>,
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

    const fn new(machine: MachineReport) -> Self {
        Self { schema: 1, machine, scenarios: Vec::new(), held: false }
    }

    /// Adds a scenario, and what its guest said about the kernel's target.
    pub(super) fn add(&mut self, scenario: ScenarioReport, kernel_target: Option<&str>) {
        self.scenarios.push(scenario);
        self.held = self.scenarios.iter().all(|scenario| scenario.held);
        if let Some(target) = kernel_target {
            target.clone_into(&mut self.machine.kernel_target);
        }
    }

    /// Whether there was at least one scenario and all of them held.
    pub(super) const fn held(&self) -> bool {
        self.held
    }

    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => println!("{}", serde_json::to_string(self)?),
            Format::Table => print!("{}", self.table()),
        }
        Ok(())
    }

    fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "\n{}, {} CPUs, {}, {} clock, {}, kernel for {}\n",
            machine.machine.name(),
            machine.cpus,
            machine.apic.name(),
            machine.clock.name(),
            machine.emulator(),
            machine.kernel_target
        );
        text.push_str(&format!("{}\n", self.scenario_table()));
        for scenario in &self.scenarios {
            for check in scenario.checks.iter().filter(|check| !check.held) {
                let line = format!(
                    "{}: {}: expected {}, saw {}\n",
                    scenario.name, check.name, check.expected, check.saw
                );
                text.push_str(&line);
            }
        }
        text.push_str(if self.held { "held\n" } else { "NOT held\n" });
        text
    }

    fn scenario_table(&self) -> Table {
        let mut table = table::new([
            "scenario", "held", "checks", "NMIs", "claimed", "absorbed", "unknown", "lost",
        ]);
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
        Report { schema: 1, machine, scenarios: Vec::new(), held: false }
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
    fn the_json_has_the_documented_shape() {
        let mut report = report();
        report.add(scenario(true), Some("x86_64-unknown-none"));
        let expected = r#"{"schema":1,"machine":{"machine":"q35","cpus":4,"apic":"xapic","clock":"deterministic","qemu":"10.0.2","kernel_target":"x86_64-unknown-none"},"scenarios":[{"name":"s","held":true,"nmis":7,"claimed":6,"absorbed":1,"unknown":0,"lost":0,"boots":[{"policy":"report","words":"key=value","held":true}],"checks":[{"name":"c","held":true,"expected":"1","saw":"0"}]}],"held":true}"#;
        assert_eq!(serde_json::to_string(&report).expect("serializable"), expected);
    }
}
