// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays [sequences of rings](latchwork_sequence) in the simulated machine, to be compared with what the reference kernel does with
//! the same ones under QEMU.
//!
//! Of all orders one is played: an edge lands at once, and a CPU goes on until it rests.

mod policy;

use latchwork_sequence::{Played, time};

use self::policy::Performer;
use crate::{
    engine::{Bounds, Director, Event, Property},
    machine::{Apic, Hardware, Occurrence, Timing},
    policy::{Plan, Policy, Recovery},
    run::Setting,
    scenario::{Extent, Scenario},
};

/// Longer than any sequence lasts, in microseconds.
const FOR_EVER_US: u64 = 1_000_000_000;

/// How many choice points an execution has at most. One of a sequence has some thousand.
const POINTS: usize = 1_000_000;

const fn scenario(cpus: usize) -> Scenario {
    Scenario {
        name: "sequence",
        summary: "a sequence of rings",
        hardware: Hardware {
            cpus,
            apic: Apic::X,
            tick_period_us: 10 * FOR_EVER_US,
            ..Hardware::BARE
        },
        plan: Plan { attended: &[], on_pmi: None },
        timing: Timing {
            late_us: time::LATE_US as u64,
            cap_us: time::CAP_US as u64,
            overdue_us: time::CAP_US as u64,
            hold_us: time::CAP_US as u64,
            quiet_us: FOR_EVER_US,
            horizon_us: FOR_EVER_US,
            ..Timing::SHORT
        },
        ..Scenario::STILL
    }
}

static ON_CPUS: [Scenario; latchwork_sequence::MAX_CPUS] = [scenario(1), scenario(2)];

/// Has each edge land as soon as it can.
struct AtOnce;

impl Director for AtOnce {
    fn choose(&mut self, events: &[Event], _: bool) -> Option<Event> {
        events.iter().copied().find(|event| matches!(Occurrence::of(*event), Occurrence::Land(..)))
    }
}

/// What came of a sequence, and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// How much happened.
    pub played: Played,
    /// What happened, line by line.
    pub log: String,
}

/// Plays the sequence of `seed` on `cpus` CPUs.
///
/// # Errors
///
/// What became of the execution instead, if it did not come to its end.
pub fn perform(seed: u64, cpus: usize, recovery: Recovery) -> Result<Performance, String> {
    let scenario = cpus.checked_sub(1).and_then(|place| ON_CPUS.get(place));
    let scenario = scenario.ok_or_else(|| format!("sequences are not for {cpus} CPUs"))?;
    let make = move || Box::new(Performer { seed, recovery }) as Box<dyn Policy>;
    // The policy tells those who judge nothing, so they have nothing to judge but that dispatch is bounded.
    let setting =
        Setting { properties: &[Property::W], ..Setting::new(scenario, Extent::Exhaustive, &make) };
    let bounds = Bounds { points: POINTS, ..Bounds::default() };
    let directed = setting.direct(&bounds, &mut AtOnce);
    if let Some(violation) = directed.violation {
        return Err(violation.to_string());
    }
    policy::performance().filter(|_| directed.is_whole).ok_or_else(|| "it did not end".to_owned())
}

#[cfg(test)]
mod tests;
