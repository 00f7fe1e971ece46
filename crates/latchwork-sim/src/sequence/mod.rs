// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays [sequences of rings](latchwork_sequence) in the simulated machine, so that `cargo xtask
//! compare` can compare it with what the reference kernel does with the same ones under QEMU.
//!
//! It plays one order of all: a CPU goes on until it rests, and an edge lands at once, or as late
//! as that allows.

mod policy;

use latchwork_sequence::{MAX_CPUS, Played, time};

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

const fn scenario(cpus: usize, apic: Apic) -> Scenario {
    Scenario {
        name: "sequence",
        summary: "a sequence of rings",
        hardware: Hardware { cpus, apic, tick_period_us: 10 * FOR_EVER_US, ..Hardware::BARE },
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

static IN_XAPIC_MODE: [Scenario; MAX_CPUS] = [scenario(1, Apic::X), scenario(2, Apic::X)];
static IN_X2APIC_MODE: [Scenario; MAX_CPUS] = [scenario(1, Apic::X2), scenario(2, Apic::X2)];

/// When edges land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// As soon as they can.
    AtOnce,
    /// When no CPU can go on before something happens.
    Late,
}

impl Director for Landing {
    fn choose(&mut self, events: &[Event], everybody_rests: bool) -> Option<Event> {
        let lands = |event: &Event| matches!(Occurrence::of(*event), Occurrence::Land(..));
        let is_time = everybody_rests || *self == Self::AtOnce;
        events.iter().copied().find(lands).filter(|_| is_time)
    }
}

/// How sequences are played.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// On how many CPUs.
    pub cpus: usize,
    /// The mode of their local APICs.
    pub apic: Apic,
    /// How the library pays what it owes.
    pub recovery: Recovery,
    /// When edges land.
    pub landing: Landing,
}

/// The result of a sequence, and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// How much happened.
    pub played: Played,
    /// What happened, line by line.
    pub log: String,
}

/// Plays the sequence of `seed`.
///
/// # Errors
///
/// What happened instead, if the execution did not come to its end.
pub fn perform(seed: u64, manner: &Manner) -> Result<Performance, String> {
    let Manner { cpus, apic, recovery, mut landing } = *manner;
    let scenarios = if apic == Apic::X { &IN_XAPIC_MODE } else { &IN_X2APIC_MODE };
    let scenario = cpus.checked_sub(1).and_then(|place| scenarios.get(place));
    let scenario = scenario.ok_or_else(|| format!("sequences are not for {cpus} CPUs"))?;
    let make = move || Box::new(Performer { seed, recovery }) as Box<dyn Policy>;
    // This policy reports nothing to the monitors, so only the monitor of bounded dispatch has
    // something to judge.
    let setting =
        Setting { properties: &[Property::W], ..Setting::new(scenario, Extent::Exhaustive, &make) };
    let bounds = Bounds { points: POINTS, ..Bounds::default() };
    let directed = setting.direct(&bounds, &mut landing);
    if let Some(violation) = directed.violation {
        return Err(violation.to_string());
    }
    match policy::performance() {
        (performance, true) if directed.is_whole => Ok(performance),
        (performance, _) => Err(format!("it did not end: {}", performance.log)),
    }
}

#[cfg(test)]
mod tests;
