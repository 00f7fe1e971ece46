// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios: a small machine, what its software does, and what may happen to it.

mod absent;
mod catalog;
mod clocks;
mod collapse;
mod elsewhere;
mod going;
mod hung;
mod late;
mod lifecycle;
mod open;
mod other_kernels;
mod rings;
mod sends;
mod slow;
mod stillness;
mod unknowns;
mod work;

use crate::{
    engine::Bounds,
    machine::{Bell, Happening, Hardware, PmuKind, Route, Timing, pmu::bit},
    policy::{Action, Plan, Policy},
};

pub use catalog::SCENARIOS;
pub use open::{OPEN, Open};

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// What it is about, in one line.
    pub summary: &'static str,
    /// The machine.
    pub hardware: Hardware,
    /// What the kernel sets up before time begins.
    pub plan: Plan,
    /// What each CPU does at the beginning, before it idles.
    pub scripts: &'static [&'static [Step]],
    /// What may happen in exhaustive search, and how often.
    pub happenings: &'static [(Happening, u8)],
    /// What may happen in random search.
    pub long: &'static [(Happening, u8)],
    /// How long things last.
    pub timing: Timing,
    /// For how long sources may raise something in a long execution, in microseconds.
    pub long_us: u64,
    /// How often a CPU that could go on makes way for another at most, in exhaustive search.
    pub preemptions: u8,
    /// How many stores a CPU's store buffer holds. 0: stores are in memory at once.
    pub store_buffer: usize,
    /// It is judged by the [stricter](crate::property::Judges::strictly) monitors as well.
    pub is_strict: bool,
}

/// How large an execution may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Small enough to see all executions.
    Exhaustive,
    /// For random search.
    Long,
}

/// What a CPU does at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Has its kernel do this.
    Do(Action),
    /// Halts for that many microseconds, with interrupts on.
    Wait(u64),
    /// Runs for that many microseconds with interrupts off.
    Busy(u64),
    /// Has its kernel do this so many times, one right after the other.
    Repeat(usize, Action),
}

/// Counter 0 of that CPU overflows.
pub(crate) const fn overflow(cpu: usize) -> Happening {
    Happening::Overflow { cpu, bit: bit::COUNTER_0 }
}

/// One CPU with counters that mask their entry.
pub(crate) const ONE_CPU: Hardware =
    Hardware { cpus: 1, pmu: PmuKind::Masking, button: Route::Bsp, ..Hardware::BARE };

/// Two such CPUs.
pub(crate) const TWO_CPUS: Hardware = Hardware { cpus: 2, ..ONE_CPU };

/// The counters and one external device.
const PMU_AND_EXTERNAL: &[Bell] = &[Bell::Lvt, Bell::External(0)];

impl Scenario {
    /// One CPU on which nothing happens, for scenarios to differ from.
    pub(crate) const STILL: Self = Self {
        name: "",
        summary: "",
        hardware: ONE_CPU,
        plan: Plan { attended: &[Bell::Lvt], on_pmi: None },
        scripts: &[],
        happenings: &[],
        long: &[],
        timing: Timing::SHORT,
        long_us: 50_000,
        preemptions: 2,
        store_buffer: 0,
        is_strict: false,
    };

    /// The scenario of that name, of those that hold and of those that do not yet.
    pub fn named(name: &str) -> Option<&'static Self> {
        let open = OPEN.iter().map(|open| open.scenario);
        SCENARIOS.iter().copied().chain(open).find(|scenario| scenario.name == name)
    }

    /// What may happen, and how often.
    pub fn happenings(&self, extent: Extent) -> &'static [(Happening, u8)] {
        match extent {
            Extent::Exhaustive => self.happenings,
            Extent::Long => self.long,
        }
    }

    /// How long things last.
    pub fn timing(&self, extent: Extent) -> Timing {
        match extent {
            Extent::Exhaustive => self.timing,
            Extent::Long => Timing {
                quiet_us: self.long_us,
                horizon_us: self.long_us + self.timing.horizon_us,
                ..self.timing
            },
        }
    }

    /// The bounds of its exhaustive search.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            preemptions: self.preemptions,
            store_buffer: self.store_buffer,
            ..Bounds::default()
        }
    }

    /// Whether `policy` can do all that this scenario's software does.
    pub fn suits(&self, policy: &dyn Policy) -> bool {
        let steps = self.scripts.iter().copied().flatten();
        let actions = steps.filter_map(|step| match step {
            Step::Do(action) | Step::Repeat(_, action) => Some(*action),
            Step::Wait(_) | Step::Busy(_) => None,
        });
        actions.chain(self.plan.on_pmi).all(|action| policy.can(action))
    }
}
