// SPDX-License-Identifier: MIT OR Apache-2.0
//! All properties together.

use super::{
    Absorption, Bounded, Conservation, DeferredWork, FalseUnknown, Honoured, Monitor, Removal,
    Repeating, Said, Stranded, UnreportedUnknown,
};
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Fact, Hardware, Timing, Witness},
};

/// Judges an execution by every property. The first violation stays.
#[derive(Debug)]
pub struct Judges {
    monitors: Vec<(Property, Box<dyn Monitor>)>,
    violation: Option<Violation>,
}

impl Judges {
    /// For an execution on that machine.
    pub fn new(hardware: &Hardware, timing: &Timing) -> Self {
        let monitors: Vec<(Property, Box<dyn Monitor>)> = vec![
            (Property::L, Box::new(Stranded::new(hardware, timing))),
            (Property::N1, Box::new(FalseUnknown::new(hardware, timing))),
            (Property::N2, Box::new(Absorption::new(hardware, timing))),
            (Property::N3, Box::new(Repeating::new(hardware.cpus, timing))),
            (Property::N3, Box::new(UnreportedUnknown::new(hardware, timing))),
            (Property::C, Box::new(Conservation::new())),
            (Property::W, Box::new(Bounded)),
            (Property::Q, Box::new(Removal::default())),
            (Property::D, Box::new(DeferredWork::default())),
        ];
        Self { monitors, violation: None }
    }

    /// And by the stricter monitors, for an execution on that machine.
    #[must_use]
    pub fn strictly(mut self, hardware: &Hardware, timing: &Timing) -> Self {
        let stricter: [(Property, Box<dyn Monitor>); 4] = [
            (Property::N2, Box::new(Absorption::strictly(hardware, timing))),
            (Property::N3, Box::new(UnreportedUnknown::strictly(hardware, timing))),
            (Property::N3, Box::new(Said::new(hardware, timing))),
            (Property::H, Box::new(Honoured::new(hardware))),
        ];
        self.monitors.extend(stricter);
        self
    }

    /// Only by these properties: for policies that break others on purpose.
    #[must_use]
    pub fn only(mut self, properties: &[Property]) -> Self {
        self.monitors.retain(|(property, _)| properties.contains(property));
        self
    }
}

impl Witness for Judges {
    fn note(&mut self, at_us: u64, fact: &Fact) {
        for (_, monitor) in &mut self.monitors {
            if let Err(violation) = monitor.note(at_us, fact) {
                self.violation.get_or_insert(violation);
            }
        }
    }

    fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    fn finish(&self) -> Option<Violation> {
        let ends = self.monitors.iter().find_map(|(_, monitor)| monitor.finish().err());
        self.violation.clone().or(ends)
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        for (_, monitor) in &self.monitors {
            monitor.fold(fingerprint);
        }
    }
}
