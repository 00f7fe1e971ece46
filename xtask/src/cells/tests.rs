// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the selections must contain.

use std::collections::BTreeSet;

use super::*;
use crate::guest::ScenarioReport;
use crate::guest::wire::{Check, Totals};

fn names(cells: &[Cell]) -> BTreeSet<String> {
    let names: BTreeSet<_> = cells.iter().map(Cell::name).collect();
    assert_eq!(names.len(), cells.len(), "two cells share a name");
    names
}

#[test]
fn the_selection_is_part_of_the_whole() {
    assert!(names(&selection()).is_subset(&names(&all())));
}

#[test]
fn the_whole_has_every_scenario_on_every_machine_that_fits() {
    let whole = names(&all());
    for name in
        ["hot_remove::q35::x2apic::cpus4::parallel", "unknown::pc::xapic::cpus1::deterministic"]
    {
        assert!(whole.contains(name), "{name}");
    }
    for scenario in SCENARIOS {
        let clean = all().iter().filter(|cell| cell.is_clean_boot_of(scenario)).count();
        let fits = |cpus: &&u8| usize::from(**cpus) >= scenario.min_cpus;
        let sizes = CPU_COUNTS.iter().filter(fits).count();
        let between = COUNTS_BETWEEN.iter().filter(fits).count();
        let machines = sizes * 8 + between * MACHINES_BETWEEN.len();
        assert_eq!(clean, machines, "{}", scenario.name);
    }
}

#[test]
fn the_whole_makes_every_mistake_in_each_mode_by_each_clock_and_on_both_types() {
    let whole = all();
    for scenario in SCENARIOS {
        for fault in scenario.faults {
            let made: Vec<_> = whole.iter().filter(|cell| cell.makes(scenario, fault)).collect();
            let what = format!("{} {}", scenario.name, fault.name);
            assert!(made.len() <= FAULT_MACHINES.len(), "{what}");
            assert_complete(&made, fault.min_cpus.max(scenario.min_cpus), &what);
        }
    }
}

#[test]
fn the_selection_has_every_scenario_mode_clock_type_and_number_of_cpus() {
    let chosen = selection();
    for scenario in SCENARIOS {
        let booted: Vec<_> = chosen.iter().filter(|cell| cell.is_clean_boot_of(scenario)).collect();
        match scenario.selection {
            Selection::Wide => assert_complete(&booted, scenario.min_cpus, scenario.name),
            Selection::Narrow => assert_spread(&booted, scenario.name),
        }
    }
}

/// Both modes, both clocks and both types of machine are there.
fn assert_spread(cells: &[&Cell], what: &str) {
    let on = |fits: &dyn Fn(Machine) -> bool| cells.iter().any(|cell| fits(cell.machine));
    assert!(Apic::ALL.iter().all(|apic| on(&|machine| machine.apic == *apic)), "{what}");
    assert!(Clock::ALL.iter().all(|clock| on(&|machine| machine.clock == *clock)), "{what}");
    let types = MachineType::ALL;
    assert!(types.iter().all(|it| on(&|machine| machine.machine_type == *it)), "{what}");
}

#[test]
fn the_selection_makes_every_mistake_and_twice_where_it_is_wide() {
    let chosen = selection();
    for scenario in SCENARIOS {
        for fault in scenario.faults {
            let machines: &[Machine] = match scenario.selection {
                Selection::Wide => &SELECTED_FAULT_MACHINES,
                Selection::Narrow => &NARROW_FAULT_MACHINES,
            };
            let places = machines.iter().filter(|machine| {
                usize::from(machine.cpus) >= fault.min_cpus.max(scenario.min_cpus)
            });
            let made = chosen.iter().filter(|cell| cell.makes(scenario, fault)).count();
            assert_eq!(made, places.count(), "{}", fault.name);
            assert_ne!(made, 0, "{}", fault.name);
        }
    }
    for fault in COMMON_FAULTS {
        let made = chosen.iter().filter(|cell| cell.makes(&SCENARIOS[0], fault)).count();
        assert_eq!(made, 1, "{}", fault.name);
    }
}

#[test]
fn an_older_qemu_boots_every_scenario_by_each_clock_and_needs_no_x2apic() {
    let few = few();
    names(&few);
    assert!(few.iter().all(|cell| cell.machine.apic == Apic::Xapic && cell.is_on_qemu()));
    for scenario in SCENARIOS {
        for clock in Clock::ALL {
            let here =
                |cell: &&Cell| cell.is_clean_boot_of(scenario) && cell.machine.clock == clock;
            assert_eq!(few.iter().filter(here).count(), 1, "{} {clock:?}", scenario.name);
        }
    }
    let common = few.iter().filter(|cell| cell.fault.is_some()).count();
    assert_eq!(common, COMMON_FAULTS.len());
}

#[test]
fn bochs_boots_whatever_it_has_the_devices_for() {
    let on_bochs = |cells: Vec<Cell>, scenario: &Scenario| {
        let mine = |cell: &Cell| cell.place == Place::Bochs && cell.scenario.name == scenario.name;
        cells.into_iter().filter(mine).collect::<Vec<_>>()
    };
    for scenario in SCENARIOS {
        let (chosen, whole) = (on_bochs(selection(), scenario), on_bochs(all(), scenario));
        if !scenario.devices.is_empty() {
            assert!(whole.is_empty(), "{}", scenario.name);
            continue;
        }
        assert!(!chosen.is_empty(), "{}", scenario.name);
        for cpus in CPU_COUNTS.into_iter().filter(|&it| usize::from(it) >= scenario.min_cpus) {
            let there = whole.iter().filter(|it| it.fault.is_none() && it.machine.cpus == cpus);
            assert_eq!(there.count(), Apic::ALL.len(), "{} on {cpus} CPUs", scenario.name);
        }
    }
}

#[test]
fn the_selection_boots_a_disc_on_each_machine_type() {
    let discs = selection().into_iter().filter(|cell| cell.place == Place::Disc);
    let names: Vec<_> = discs.map(|cell| cell.name()).collect();
    for machine_type in MachineType::ALL {
        let column = format!("::{}_disc::", machine_type.name());
        assert!(names.iter().any(|name| name.contains(&column)), "{names:?}");
    }
}

impl Cell {
    fn is_clean_boot_of(&self, scenario: &Scenario) -> bool {
        self.place == Place::Kernel && self.scenario.name == scenario.name && self.fault.is_none()
    }

    fn makes(&self, scenario: &Scenario, fault: &Fault) -> bool {
        self.place == Place::Kernel
            && self.scenario.name == scenario.name
            && self.fault.is_some_and(|made| made.name == fault.name)
    }
}

/// Each number of CPUs from `min_cpus` is there, each mode by each clock, and each type of machine.
fn assert_complete(cells: &[&Cell], min_cpus: usize, what: &str) {
    let on = |fits: &dyn Fn(Machine) -> bool| cells.iter().any(|cell| fits(cell.machine));
    for cpus in CPU_COUNTS.into_iter().filter(|&cpus| usize::from(cpus) >= min_cpus) {
        assert!(on(&|machine| machine.cpus == cpus), "{what} on {cpus} CPUs");
    }
    for apic in Apic::ALL {
        for clock in Clock::ALL {
            let there = on(&|machine| machine.apic == apic && machine.clock == clock);
            assert!(there, "{what} {apic:?} {clock:?}");
        }
    }
    for machine_type in MachineType::ALL {
        let there = on(&|machine| machine.machine_type == machine_type);
        assert!(there, "{what} {machine_type:?}");
    }
}

fn outcome(held: bool, breakages: &[Breakage]) -> ScenarioOutcome {
    let report = ScenarioReport {
        name: "s".into(),
        held,
        totals: Totals::default(),
        boots: Vec::new(),
        checks: Vec::new(),
    };
    ScenarioOutcome { report, breakages: breakages.to_vec(), tails: Vec::new() }
}

#[test]
fn red_is_a_failed_check_and_not_a_broken_guest() {
    assert!(Wanted::Red.is_met_by(&outcome(false, &[])));
    assert!(!Wanted::Red.is_met_by(&outcome(true, &[])));
    assert!(!Wanted::Red.is_met_by(&outcome(false, &[Breakage::Hung])));
}

#[test]
fn a_breakage_must_be_the_one_that_was_asked_for() {
    let wanted = Wanted::Broken(Breakage::Panicked, "");
    assert!(wanted.is_met_by(&outcome(false, &[Breakage::Panicked, Breakage::Panicked])));
    assert!(!wanted.is_met_by(&outcome(false, &[])));
    assert!(!wanted.is_met_by(&outcome(false, &[Breakage::Panicked, Breakage::Hung])));
    assert!(!Wanted::Held.is_met_by(&outcome(false, &[])));
}

#[test]
fn a_breakage_must_say_what_it_was_asked_to() {
    let wanted = Wanted::Broken(Breakage::Hung, "CPU 0 waits");
    let mut outcome = outcome(false, &[Breakage::Hung]);
    for (saw, is_met) in [("no output; CPU 0 waits for a job", true), ("no output", false)] {
        let (name, expected) = ("guest-hung".into(), "an end".into());
        outcome.report.checks = vec![Check { name, held: false, expected, saw: saw.into() }];
        assert_eq!(wanted.is_met_by(&outcome), is_met, "{saw}");
    }
}
