// SPDX-License-Identifier: MIT OR Apache-2.0
//! The load: what happens, when, and on which CPU.

use std::{cell::RefCell, cmp::Reverse, collections::BinaryHeap, rc::Rc};

use super::meter::{Cost, Counts, Meter};
use crate::{
    engine::World,
    machine::{
        BEGINNING_US, Bell, Doing, ExternalKind, Hardware, Machine, PmuKind, Route, Timing,
        current, pmu::bit,
    },
    run::MakePolicy,
    scenario::{Extent, Scenario},
    world::Simulation,
};

/// The load under which a policy is measured.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many CPUs.
    pub cpus: usize,
    /// How many PMIs a second on each.
    pub pmi_hz: u64,
    /// For how long, in microseconds.
    pub for_us: u64,
}

/// What happens at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    /// A PMI comes to this CPU.
    Pmi(usize),
    /// An external event's ring collapses into the next PMI of the boot CPU.
    External,
    /// A true unknown rings the boot CPU.
    Unknown,
}

const TICK_PERIOD_US: u64 = 1_000;
/// Periods that share no factor with the ticks', so that all phases occur.
const EXTERNAL_PERIOD_US: u64 = 7_300;
const UNKNOWN_PERIOD_US: u64 = 1_030;

/// The last external event leaves that much time to recover it.
const RECOVERY_TIME_US: u64 = 5 * TICK_PERIOD_US;

static EXTERNALS: [ExternalKind; 1] = [ExternalKind::level_held(Route::Bsp)];
const ATTENDED: &[Bell] = &[Bell::Lvt, Bell::External(0)];

/// Measures a policy under a load. It never frees the machines' memory.
///
/// It measures true unknowns in a run of their own, on one CPU, since a policy polls the
/// machine-wide sources for each of them.
pub fn measure(policy: &MakePolicy, load: Load) -> Cost {
    let seconds = load.for_us as f64 / 1e6;
    let (counts, polls) = count(policy, load, false);
    let (hidden, _) = count(policy, Load { cpus: 1, ..load }, true);
    let recovered = counts.external_since_us.is_none();
    Cost {
        polls_per_s: polls as f64 / seconds,
        extra_nmis_per_s: counts.extra_nmis as f64 / seconds,
        worst_recovery_ticks: recovered
            .then_some(counts.longest_recovery_us as f64 / TICK_PERIOD_US as f64),
        worst_hidden_us: (hidden.reports != 0).then_some(hidden.longest_hidden_us),
    }
}

/// Makes one run. Returns what was counted, and how often the policy read the machine-wide source.
fn count(policy: &MakePolicy, load: Load, with_unknowns: bool) -> (Counts, u64) {
    let counts = Rc::new(RefCell::new(Counts::default()));
    let scenario: &'static Scenario = Box::leak(Box::new(scenario_of(load)));
    let meter = Box::new(Meter(Rc::clone(&counts)));
    let world: &'static Simulation =
        Box::leak(Box::new(Simulation::new(scenario, Extent::Exhaustive, policy(), meter)));
    world.start();
    let machine = current();
    for cpu in 0..load.cpus {
        machine.change_cpu(cpu, |cpu| cpu.doing = Doing::Halted);
    }
    Run { world, machine, next_tick_us: BEGINNING_US }.run(load, with_unknowns);
    let counted = counts.borrow().clone();
    (counted, machine.external_reads())
}

fn scenario_of(load: Load) -> Scenario {
    Scenario {
        name: "cost",
        summary: "what a policy costs",
        hardware: Hardware {
            cpus: load.cpus,
            pmu: PmuKind::Masking,
            externals: &EXTERNALS,
            delivery_us: 5,
            tick_period_us: TICK_PERIOD_US,
            ..Hardware::BARE
        },
        plan: crate::policy::Plan { attended: ATTENDED, on_pmi: None },
        scripts: &[],
        happenings: &[],
        long: &[],
        timing: Timing { quiet_us: load.for_us, horizon_us: load.for_us, ..Timing::SHORT },
        long_us: load.for_us,
        preemptions: 0,
        store_buffer: 0,
        is_strict: false,
    }
}

struct Run {
    world: &'static Simulation,
    machine: &'static Machine,
    /// No tick is due before this time.
    next_tick_us: u64,
}

impl Run {
    fn run(&mut self, load: Load, with_unknowns: bool) {
        let last_us = BEGINNING_US + load.for_us;
        let pmi_period_us = 1_000_000 / load.pmi_hz;
        let mut due = BinaryHeap::new();
        for cpu in 0..load.cpus {
            let share_us = pmi_period_us * cpu as u64 / load.cpus as u64;
            due.push(Reverse((BEGINNING_US + 1 + share_us, Happens::Pmi(cpu))));
        }
        due.push(Reverse((BEGINNING_US + EXTERNAL_PERIOD_US, Happens::External)));
        if with_unknowns {
            due.push(Reverse((BEGINNING_US + UNKNOWN_PERIOD_US, Happens::Unknown)));
        }
        let mut external_collapses = false;
        while let Some(Reverse((at_us, happens))) = due.pop() {
            if at_us > last_us {
                break;
            }
            self.pass_to(at_us);
            let (cpu, period_us) = match happens {
                Happens::Pmi(cpu) => {
                    overflow(self.machine, cpu);
                    if cpu == 0 && std::mem::take(&mut external_collapses) {
                        assert_external(self.machine);
                    }
                    (cpu, pmi_period_us)
                }
                Happens::External => {
                    external_collapses = at_us + RECOVERY_TIME_US < last_us;
                    (0, EXTERNAL_PERIOD_US)
                }
                Happens::Unknown => {
                    self.machine.change(|state| state.land(0, Bell::Button));
                    (0, UNKNOWN_PERIOD_US)
                }
            };
            due.push(Reverse((at_us + period_us, happens)));
            self.take_interruptions(cpu);
        }
    }

    /// Lets time pass. Ticks that are due come on the way, and edges land.
    fn pass_to(&mut self, at_us: u64) {
        while self.next_due_us() <= at_us {
            let now_us = self.machine.with(|state| state.now_us);
            self.machine.pass(self.next_due_us().max(now_us));
            for cpu in 0..self.machine.hardware.cpus {
                self.take_interruptions(cpu);
            }
            let cpus = self
                .machine
                .with(|state| state.cpus.iter().filter_map(|cpu| cpu.next_due_us()).min());
            self.next_tick_us = cpus.unwrap_or(u64::MAX);
        }
        self.machine.change(|state| state.now_us = at_us);
    }

    fn next_due_us(&self) -> u64 {
        let landing_us = self.machine.with(|state| state.wire.next_due_us());
        landing_us.unwrap_or(u64::MAX).min(self.next_tick_us)
    }

    fn take_interruptions(&self, cpu: usize) {
        self.machine.drive(cpu);
        while let Some(what) = self.world.interruption(cpu) {
            self.world.interrupt(cpu, what);
            self.machine.change_cpu(cpu, |cpu| cpu.doing = Doing::Halted);
        }
    }
}

fn overflow(machine: &Machine, cpu: usize) {
    let fact = machine.change(|state| state.overflow(&machine.hardware, cpu, bit::COUNTER_0));
    if let Some(fact) = fact {
        machine.record(&fact);
    }
}

/// Lets the external device ring. Its edge lands at once, where the latch holds the PMI's already.
fn assert_external(machine: &Machine) {
    let fact = machine.change(|state| {
        let fact = state.assert(&machine.hardware, 0);
        if state.wire.land(0, Bell::External(0)) {
            state.land(0, Bell::External(0));
        }
        fact
    });
    if let Some(fact) = fact {
        machine.record(&fact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Latchwork, Recovery};

    #[test]
    fn there_is_one_poll_a_tick_at_most_whatever_the_cpus_and_pmis() {
        for recovery in [Recovery::Poll, Recovery::Probe] {
            let policy = move || Box::new(Latchwork(recovery)) as Box<dyn crate::policy::Policy>;
            let of = |cpus, pmi_hz| measure(&policy, Load { cpus, pmi_hz, for_us: 50_000 });
            let polls_per_s_at_most = 1e6 / TICK_PERIOD_US as f64;
            for cost in [of(1, 1_000), of(1, 10_000), of(1, 100_000), of(16, 10_000)] {
                assert!(
                    cost.polls_per_s > 0.0 && cost.polls_per_s <= polls_per_s_at_most,
                    "{cost:?}"
                );
                let recovery_ticks = cost.worst_recovery_ticks.expect("all are recovered");
                assert!(recovery_ticks <= 3.0, "{cost:?}");
                assert!(cost.worst_hidden_us.is_some(), "unknowns are reported");
            }
        }
    }
}
