// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boots that are tests: every scenario on every kind of machine, and every fault.

use std::fmt;
use std::sync::Arc;

use crate::catalog::{COMMON_FAULTS, Fault, SCENARIOS, Scenario, Selection};
use crate::guest::boot::Deaf;
use crate::guest::hosts::Hosts;
use crate::guest::qemu::Qemu;
use crate::guest::{Breakage, Emulator, Job, Limits, Place, ScenarioOutcome, bochs};
use crate::machine::{Apic, Clock, Machine, MachineType};

/// The numbers of CPUs with which CI boots every kind of machine.
pub const CPU_COUNTS: [u8; 4] = [1, 2, 4, 8];

/// The numbers between those, and the kinds of machines with them. A scenario that divides work
/// among CPUs may have a remainder there.
const COUNTS_BETWEEN: [u8; 4] = [3, 5, 6, 7];
const MACHINES_BETWEEN: [(MachineType, Apic, Clock); 3] = [
    (MachineType::Q35, Apic::Xapic, Clock::Deterministic),
    (MachineType::Q35, Apic::X2apic, Clock::Parallel),
    (MachineType::Pc, Apic::Xapic, Clock::Parallel),
];

/// Seconds of silence after which a guest hangs, on a machine that runs several boots at once.
const SILENCE_S: u64 = 120;

/// The same for the guest that hangs by command, and for one on Bochs, whose loader alone may take
/// longer than the former.
const SILENCE_OF_A_HANG_S: u64 = 10;
const SILENCE_OF_A_HANG_ON_BOCHS_S: u64 = 60;

/// What the host says of the boot CPU where that waits for what never comes.
const WAITS_FOR_EVER: &str = "CPU 0 waits for what never comes";

/// The machines of the selection: every number of CPUs, every pair of mode and clock, and each
/// machine type with both modes and both clocks, also for a scenario that needs two CPUs.
const SELECTED_MACHINES: [Machine; 8] = [
    machine(MachineType::Q35, 1, Apic::X2apic, Clock::Deterministic),
    machine(MachineType::Pc, 1, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Pc, 2, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Q35, 4, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Q35, 4, Apic::X2apic, Clock::Parallel),
    machine(MachineType::Q35, 6, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Q35, 8, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Pc, 8, Apic::X2apic, Clock::Deterministic),
];

/// The machines of the selection for narrowly selected scenarios: each clock, one CPU, two and
/// several.
const NARROW_MACHINES: [Machine; 4] = [
    machine(MachineType::Q35, 1, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Pc, 2, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Q35, 4, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Q35, 8, Apic::X2apic, Clock::Parallel),
];

/// Where the selection makes each mistake. Those that every scenario accepts it makes on the first
/// machine only.
const SELECTED_FAULT_MACHINES: [Machine; 2] = [
    machine(MachineType::Q35, 2, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Pc, 4, Apic::X2apic, Clock::Parallel),
];

/// The same for narrowly selected scenarios.
const NARROW_FAULT_MACHINES: [Machine; 1] = [SELECTED_FAULT_MACHINES[0]];

/// Where the whole makes each mistake: two numbers of CPUs for each pair of mode and clock, all
/// four numbers in the end, and one machine of the other type. A mistake does not know the chipset.
const FAULT_MACHINES: [Machine; 9] = [
    machine(MachineType::Q35, 2, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Q35, 8, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Q35, 1, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Q35, 4, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Q35, 1, Apic::X2apic, Clock::Deterministic),
    machine(MachineType::Q35, 4, Apic::X2apic, Clock::Deterministic),
    machine(MachineType::Q35, 2, Apic::X2apic, Clock::Parallel),
    machine(MachineType::Q35, 8, Apic::X2apic, Clock::Parallel),
    machine(MachineType::Pc, 4, Apic::X2apic, Clock::Parallel),
];

/// Where the selection boots by GRUB, from a disc.
const SELECTED_DISC_MACHINES: [Machine; 2] = [
    machine(MachineType::Pc, 2, Apic::Xapic, Clock::Parallel),
    machine(MachineType::Q35, 4, Apic::X2apic, Clock::Parallel),
];

/// The machines of the few boots on an older QEMU, without x2APIC: the first is what `cargo xtask
/// run` boots.
const FEW_MACHINES: [Machine; 2] = [
    machine(MachineType::Q35, 4, Apic::Xapic, Clock::Deterministic),
    machine(MachineType::Pc, 2, Apic::Xapic, Clock::Parallel),
];

/// Where a few boots are from a disc.
const FEW_DISC_MACHINES: [Machine; 1] = [SELECTED_DISC_MACHINES[0]];

/// Where the selection boots on Bochs.
const SELECTED_BOCHS_MACHINES: [Machine; 2] = [on_bochs(2, Apic::X2apic), on_bochs(4, Apic::Xapic)];

/// The same for narrowly selected scenarios.
const NARROW_BOCHS_MACHINES: [Machine; 1] = [SELECTED_BOCHS_MACHINES[0]];

/// Where faults are made on Bochs.
const BOCHS_FAULT_MACHINE: Machine = on_bochs(2, Apic::Xapic);

const fn on_bochs(cpus: u8, apic: Apic) -> Machine {
    machine(bochs::MACHINE_TYPE, cpus, apic, bochs::CLOCK)
}

const fn machine(machine_type: MachineType, cpus: u8, apic: Apic, clock: Clock) -> Machine {
    Machine { machine_type, cpus, apic, clock }
}

/// One test: a scenario on a machine, perhaps with a mistake that must turn it red.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    scenario: &'static Scenario,
    fault: Option<&'static Fault>,
    place: Place,
    machine: Machine,
}

/// What CI boots.
#[must_use]
pub fn selection() -> Vec<Cell> {
    let mut cells = cells(|scenario| match scenario.selection {
        Selection::Wide => (&SELECTED_MACHINES, &SELECTED_FAULT_MACHINES),
        Selection::Narrow => (&NARROW_MACHINES, &NARROW_FAULT_MACHINES),
    });
    let [first, ..] = SCENARIOS else {
        return cells;
    };
    cells.extend(SELECTED_DISC_MACHINES.map(|machine| Cell::of(first, Place::Disc, machine)));
    cells.extend(bochs_cells(|scenario| match scenario.selection {
        Selection::Wide => &SELECTED_BOCHS_MACHINES,
        Selection::Narrow => &NARROW_BOCHS_MACHINES,
    }));
    let ends = COMMON_FAULTS.iter().filter(|fault| fault.name != "hang");
    cells.extend(ends.map(|fault| Cell::of(first, Place::Bochs, BOCHS_FAULT_MACHINE).with(fault)));
    cells
}

/// What CI boots on the oldest QEMU besides: every scenario by each clock, the first from a disc,
/// and each way for a guest to end.
#[must_use]
pub fn few() -> Vec<Cell> {
    let mut cells = cells(|_| (&FEW_MACHINES, &[]));
    if let [first, ..] = SCENARIOS {
        cells.extend(FEW_DISC_MACHINES.map(|machine| Cell::of(first, Place::Disc, machine)));
    }
    cells
}

/// Every scenario on every machine, 32 of them and twelve with other numbers of CPUs, and every
/// fault on nine; every scenario from a disc; and what Bochs can boot, on every number of CPUs in
/// both modes, and every fault once.
#[must_use]
pub fn all() -> Vec<Cell> {
    let mut machines = Vec::new();
    for machine_type in MachineType::ALL {
        for cpus in CPU_COUNTS {
            for apic in Apic::ALL {
                machines.extend(Clock::ALL.map(|clock| machine(machine_type, cpus, apic, clock)));
            }
        }
    }
    for (machine_type, apic, clock) in MACHINES_BETWEEN {
        machines.extend(COUNTS_BETWEEN.map(|cpus| machine(machine_type, cpus, apic, clock)));
    }
    let mut cells = cells(|_| (&machines, &FAULT_MACHINES));
    for scenario in SCENARIOS {
        let discs = SELECTED_DISC_MACHINES.map(|machine| Cell::of(scenario, Place::Disc, machine));
        cells.extend(discs.into_iter().filter(Cell::fits));
    }
    let on_bochs: Vec<_> =
        CPU_COUNTS.iter().flat_map(|&cpus| Apic::ALL.map(|apic| on_bochs(cpus, apic))).collect();
    cells.extend(bochs_cells(|_| &on_bochs));
    for scenario in SCENARIOS {
        let on_bochs = Cell::of(scenario, Place::Bochs, BOCHS_FAULT_MACHINE);
        cells.extend(scenario.faults.iter().map(|fault| on_bochs.with(fault)).filter(Cell::fits));
    }
    if let [first, ..] = SCENARIOS {
        let on_bochs = Cell::of(first, Place::Bochs, BOCHS_FAULT_MACHINE);
        cells.extend(COMMON_FAULTS.iter().map(|fault| on_bochs.with(fault)));
    }
    cells
}

/// Every scenario that Bochs has the devices for, each on its machines.
fn bochs_cells<'m>(machines: impl Fn(&Scenario) -> &'m [Machine]) -> Vec<Cell> {
    let on = |scenario| move |&it| Cell::of(scenario, Place::Bochs, it);
    let of = |scenario| machines(scenario).iter().map(on(scenario));
    SCENARIOS.iter().flat_map(of).filter(Cell::fits).collect()
}

/// The boots of the kernel alone on QEMU: each scenario on its machines, and with each of its
/// faults on others.
fn cells<'m>(machines: impl Fn(&Scenario) -> (&'m [Machine], &'m [Machine])) -> Vec<Cell> {
    let mut cells = Vec::new();
    for scenario in SCENARIOS {
        let (machines, fault_machines) = machines(scenario);
        let clean = |machine| Cell::of(scenario, Place::Kernel, machine);
        cells.extend(machines.iter().map(|&machine| clean(machine)));
        for fault in scenario.faults {
            cells.extend(fault_machines.iter().map(|&machine| clean(machine).with(fault)));
        }
    }
    let [breakable, ..] = SCENARIOS else {
        return cells;
    };
    let breakable = Cell::of(breakable, Place::Kernel, SELECTED_FAULT_MACHINES[0]);
    cells.extend(COMMON_FAULTS.iter().map(|fault| breakable.with(fault)));
    cells.retain(Cell::fits);
    cells
}

impl Cell {
    const fn of(scenario: &'static Scenario, place: Place, machine: Machine) -> Self {
        Self { scenario, fault: None, place, machine }
    }

    const fn with(self, fault: &'static Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    /// Each scenario that fits `machine`, without faults.
    #[must_use]
    pub fn every_scenario_on(machine: Machine) -> Vec<Self> {
        let machines = [machine];
        cells(|_| (&machines, &[])).into_iter().filter(|cell| cell.fault.is_none()).collect()
    }

    fn fits(&self) -> bool {
        let needed = self.fault.map_or(1, |fault| fault.min_cpus).max(self.scenario.min_cpus);
        let has_devices = self.place != Place::Bochs || bochs::refuses(self.scenario).is_none();
        usize::from(self.machine.cpus) >= needed && has_devices
    }

    /// What boots it.
    ///
    /// # Errors
    ///
    /// Why none of `hosts` can, in one line.
    pub fn emulator(&self, hosts: &Hosts) -> Result<Arc<dyn Emulator>, String> {
        hosts.emulator_for(self.place, self.scenario, self.machine)
    }

    /// Why `qemu` cannot run it, if it is one of its boots and it cannot.
    pub(crate) fn refusal(&self, qemu: &Qemu) -> Option<String> {
        if self.is_on_qemu() { qemu.refuses(self.scenario, self.machine) } else { None }
    }

    /// Whether it boots on QEMU, by itself or from a disc.
    pub(crate) const fn is_on_qemu(&self) -> bool {
        matches!(self.place, Place::Kernel | Place::Disc)
    }

    /// Whether it keeps no processor busy, most of the time: the host waits for a guest that hangs.
    /// Others by the parallel clock wait too, but a third boot beside them makes their timers late.
    pub(crate) fn mostly_waits(&self) -> bool {
        matches!(self.wanted(), Wanted::Broken(Breakage::Hung, _))
    }

    /// How many seconds it takes on an idle machine, roughly.
    pub(crate) fn guess_s(&self) -> f64 {
        let of_a_boot = match (self.place, self.machine.apic, self.machine.clock) {
            (Place::Bochs, ..) => 8.0,
            // Each instruction is translated for itself.
            (_, Apic::X2apic, Clock::Deterministic) => 6.0,
            (Place::Disc, ..) => 3.0,
            _ => 1.5,
        };
        let silence_s = match self.wanted() {
            Wanted::Broken(Breakage::Hung, _) => self.silence_s(),
            _ => 0,
        };
        silence_s as f64 + of_a_boot * self.scenario.boots.len() as f64
    }

    /// The test's name, as in `hot_remove::q35::x2apic::cpus4::parallel::fault_poison_early`. In
    /// the machine's place, a disc and Bochs are named.
    #[must_use]
    pub fn name(&self) -> String {
        let Machine { machine_type, cpus, apic, clock } = self.machine;
        let fault = self.fault.map(|fault| format!("::fault_{}", fault.name)).unwrap_or_default();
        let machine_type = match self.place {
            Place::Kernel => machine_type.name().to_owned(),
            Place::Disc => format!("{}_disc", machine_type.name()),
            Place::Bochs => String::from("bochs"),
        };
        format!(
            "{}::{machine_type}::{}::cpus{cpus}::{}{fault}",
            self.scenario.name,
            apic.name(),
            clock.name()
        )
        .replace('-', "_")
    }

    /// Boots the cell. A scenario must hold; with a fault it must not, and for the fault's reason.
    ///
    /// # Errors
    ///
    /// What was wrong instead, in words, with the serial tail.
    pub fn verify(&self, emulator: &dyn Emulator) -> Result<(), String> {
        let wanted = self.wanted();
        let job = Job { scenario: self.scenario, fault: self.fault.map(|fault| fault.name) };
        let limits = Limits::from_silence_s(self.silence_s());
        let outcome = emulator
            .run_job(job, self.machine, limits, &mut Deaf)
            .map_err(|error| format!("{error:#}"))?;
        if wanted.is_met_by(&outcome) { Ok(()) } else { Err(explain(wanted, &outcome)) }
    }

    fn silence_s(&self) -> u64 {
        match (self.wanted(), self.place) {
            (Wanted::Broken(Breakage::Hung, _), Place::Bochs) => SILENCE_OF_A_HANG_ON_BOCHS_S,
            (Wanted::Broken(Breakage::Hung, _), _) => SILENCE_OF_A_HANG_S,
            _ => SILENCE_S,
        }
    }

    fn wanted(&self) -> Wanted {
        match self.fault.map(|fault| fault.name) {
            None => Wanted::Held,
            // Nobody can ask Bochs where its CPUs stand.
            Some("hang") if self.place == Place::Bochs => Wanted::Broken(Breakage::Hung, ""),
            Some("hang") => Wanted::Broken(Breakage::Hung, WAITS_FOR_EVER),
            Some("standstill") => Wanted::Broken(Breakage::Panicked, WAITS_FOR_EVER),
            Some("triple-fault") => Wanted::Broken(Breakage::TripleFaulted, ""),
            Some("panic") => Wanted::Broken(Breakage::Panicked, ""),
            Some(_) => Wanted::Red,
        }
    }
}

/// What a cell must come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    /// Every check held.
    Held,
    /// Every boot got to its end, and some check did not hold.
    Red,
    /// Every boot broke in just this way, and its check says this among other things.
    Broken(Breakage, &'static str),
}

impl Wanted {
    fn is_met_by(self, outcome: &ScenarioOutcome) -> bool {
        let held = outcome.report.held;
        match self {
            Self::Held => held,
            Self::Red => !held && outcome.breakages.is_empty(),
            Self::Broken(breakage, words) => {
                let mut failed = outcome.report.checks.iter().filter(|check| !check.held);
                !held
                    && !outcome.breakages.is_empty()
                    && outcome.breakages.iter().all(|&seen| seen == breakage)
                    && failed.all(|check| check.saw.contains(words))
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("every check to hold"),
            Self::Red => f.write_str("the guest to reach its end and a check to fail"),
            Self::Broken(breakage, "") => write!(f, "the guest to be reported as {breakage:?}"),
            Self::Broken(breakage, words) => {
                write!(f, "the guest to be reported as {breakage:?}, with \"{words}\"")
            }
        }
    }
}

fn explain(wanted: Wanted, outcome: &ScenarioOutcome) -> String {
    let mut text = format!("wanted {wanted}, but");
    let failed: Vec<_> = outcome.report.checks.iter().filter(|check| !check.held).collect();
    if failed.is_empty() {
        text.push_str(" every check held");
    }
    for check in failed {
        text.push_str(&format!(
            "\n  {}: expected {}, saw {}",
            check.name, check.expected, check.saw
        ));
    }
    for tail in &outcome.tails {
        text.push('\n');
        text.push_str(tail);
    }
    text
}

#[cfg(test)]
mod tests;
