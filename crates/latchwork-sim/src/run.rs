// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs scenarios: in every order, in random orders, or in one order again.

use std::ops::Range;

use crate::{
    engine::{
        self, Bounds, Counterexample, Detail, Directed, Director, Place, Replay, Report, Trace,
        World,
    },
    machine::Witness,
    policy::Policy,
    property::Judges,
    scenario::{Extent, Scenario},
    world::Simulation,
};

/// Makes a policy, one for each execution.
pub type MakePolicy = dyn Fn() -> Box<dyn Policy>;

thread_local! {
    static PLACE: Place<Simulation> = Place::new();
}

/// A scenario with a policy, as the engine builds it anew for each execution.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// How large it may grow.
    pub extent: Extent,
    /// The policy.
    pub policy: &'a MakePolicy,
    /// The properties that judge it; all of them if this is empty.
    pub properties: &'a [engine::Property],
}

impl std::fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("scenario", &self.scenario.name)
            .field("extent", &self.extent)
            .field("policy", &(self.policy)().name())
            .finish()
    }
}

impl<'a> Setting<'a> {
    /// `policy` in `scenario`, judged by all properties.
    pub fn new(scenario: &'static Scenario, extent: Extent, policy: &'a MakePolicy) -> Self {
        Self { scenario, extent, policy, properties: &[] }
    }

    fn build(&self) -> &'static (dyn World + 'static) {
        let scenario = self.scenario;
        let timing = scenario.timing(self.extent);
        let judges = Judges::new(&scenario.hardware, &timing);
        let judges = match scenario.is_strict {
            true => judges.strictly(&scenario.hardware, &timing),
            false => judges,
        };
        let judges = if self.properties.is_empty() { judges } else { judges.only(self.properties) };
        let witness: Box<dyn Witness> = Box::new(judges);
        let world = PLACE.with(|place| {
            let build = || Simulation::new(scenario, self.extent, (self.policy)(), witness);
            // SAFETY: only an execution that is over, and the machine it installed on this thread,
            // which `start` replaces, refer to the former world.
            unsafe { place.rebuild(build) }
        });
        world.start();
        world
    }

    /// Runs every execution within `bounds`, up to the first violation.
    pub fn exhaust(&self, bounds: &Bounds) -> Report {
        engine::exhaust(bounds, &mut || self.build())
    }

    /// Runs a random execution for each seed, up to the first violation.
    pub fn sample(&self, bounds: &Bounds, seeds: Range<u64>) -> Report {
        engine::sample(bounds, seeds, &mut || self.build())
    }

    /// Runs the execution of a trace again and records its timeline.
    pub fn replay(&self, bounds: &Bounds, trace: &Trace, detail: Detail) -> Replay {
        engine::replay(bounds, trace, detail, &mut || self.build())
    }

    /// Runs the one execution that `director` chooses.
    pub fn direct(&self, bounds: &Bounds, director: &mut dyn Director) -> Directed {
        engine::direct(bounds, director, &mut || self.build())
    }

    /// Shortens this execution, and returns the shortest one found that violates the same property.
    pub fn minimise(&self, bounds: &Bounds, found: &Counterexample) -> Counterexample {
        engine::minimise(bounds, found, &mut || self.build())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::{Latchwork, Recovery};

    /// If the world said something wrong of its events, the search would miss an ending.
    fn reduction_loses_no_ending(name: &str, recovery: Recovery) {
        let scenario = Scenario::named(name).expect("a scenario");
        let policy = move || Box::new(Latchwork(recovery)) as Box<dyn Policy>;
        let setting = Setting::new(scenario, Extent::Exhaustive, &policy);
        let [(all, most), (some, few)] = [false, true].map(|reduce| {
            let bounds = Bounds { reduce, ..scenario.bounds() };
            let mut endings = BTreeSet::new();
            let report = engine::exhaust_with(&bounds, &mut || setting.build(), &mut |state| {
                endings.insert(state);
            });
            assert_eq!(report.verdict, engine::Verdict::Held, "{name}");
            (endings, report.states)
        });
        assert!(few < most, "{name}: {few} {most}");
        assert!(some == all, "{name}: {} of {} endings", some.len(), all.len());
    }

    #[test]
    fn reduction_loses_no_ending_on_one_cpu() {
        for name in ["unknown-after-pmi", "topa-twice", "tick-stops"] {
            reduction_loses_no_ending(name, Recovery::Poll);
            reduction_loses_no_ending(name, Recovery::Probe);
        }
    }

    #[test]
    fn reduction_loses_no_ending_on_several_cpus() {
        for name in ["stop-and-pmi", "parked-for-long", "queued-for-others", "send-in-send"] {
            reduction_loses_no_ending(name, Recovery::Poll);
        }
    }
}
