// SPDX-License-Identifier: MIT OR Apache-2.0
//! N1: no unknown NMI is reported when none was raised.
//!
//! It is judged for each report by what rang for that very edge: a true unknown elsewhere excuses nothing. An
//! edge of a doorbell to which no handler attends is a true unknown, too. A report as a late send is right
//! for an edge in which a send's ring came after the longest time that an unfinished send may hold grants,
//! and for a true unknown.

use std::{collections::BTreeSet, hash::Hash};

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Edge, Ending, Fact, Reported},
};

/// The monitor of N1.
#[derive(Debug)]
pub struct FalseUnknown {
    /// For each CPU, the edges that may still be reported: of NMIs that are handled, and of deferred ones.
    open: Vec<Vec<OpenEdge>>,
    attended: BTreeSet<Bell>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct OpenEdge {
    serial: usize,
    edge: Edge,
    /// A true unknown is in it.
    is_unknown: bool,
}

impl FalseUnknown {
    /// For so many CPUs.
    pub fn new(cpus: usize) -> Self {
        Self { open: vec![Vec::new(); cpus], attended: BTreeSet::new() }
    }

    fn has_unknown(&self, edge: Edge) -> bool {
        edge.bells().any(|bell| match bell {
            Bell::Software | Bell::LateSoftware => false,
            Bell::Button => true,
            Bell::Lvt | Bell::Port61 | Bell::External(_) => !self.attended.contains(&bell),
        })
    }

    fn close(&mut self, cpu: usize, serial: usize) -> Option<Edge> {
        let place = self.open[cpu].iter().position(|open| open.serial == serial)?;
        Some(self.open[cpu].remove(place).edge)
    }
}

impl Monitor for FalseUnknown {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        match *fact {
            Fact::Taken { cpu, serial, edge } => {
                self.close(cpu, serial);
                let is_unknown = self.has_unknown(edge);
                self.open[cpu].push(OpenEdge { serial, edge, is_unknown });
            }
            Fact::Report { cpu, serial, reported } => {
                let open = self.open[cpu].iter().find(|open| open.serial == serial);
                let edge = open.map_or(Edge::NONE, |open| open.edge);
                let is_unknown = open.is_some_and(|open| open.is_unknown);
                let is_true = match reported {
                    Reported::Unknown => is_unknown || self.has_unknown(edge),
                    Reported::LateSend => is_unknown || edge.has(Bell::LateSoftware),
                    Reported::Absorbed => true,
                };
                if !is_true {
                    let text = format!("CPU {cpu} reports {reported:?} for an edge of: {edge}");
                    return Err(Violation::new(Property::N1, text));
                }
            }
            Fact::Ended { cpu, serial, ending, .. } if ending != Ending::Deferred => {
                self.close(cpu, serial);
            }
            Fact::Attended(bell) => {
                self.attended.insert(bell);
            }
            Fact::Removed(bell) => {
                self.attended.remove(&bell);
            }
            _ => {}
        }
        Ok(())
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.open.hash(fingerprint);
        self.attended.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ended, report, taken, tell};
    use super::*;

    fn judge(history: &[Fact]) -> Result<(), Property> {
        tell(FalseUnknown::new(1), history).map_err(|violation| violation.property)
    }

    #[test]
    fn a_report_is_judged_by_what_rang() {
        let orphan = [taken(1, &[Bell::Software]), report(1, Reported::Unknown)];
        assert_eq!(judge(&orphan), Err(Property::N1));
        let unknown = [taken(1, &[Bell::Software, Bell::Button]), report(1, Reported::Unknown)];
        assert_eq!(judge(&unknown), Ok(()));
    }

    #[test]
    fn an_unknown_elsewhere_excuses_nothing() {
        let history = [
            Fact::Attended(Bell::Lvt),
            taken(1, &[Bell::Button]),
            ended(1, Ending::Claimed),
            taken(2, &[Bell::Lvt]),
            report(2, Reported::Unknown),
        ];
        assert_eq!(judge(&history), Err(Property::N1));
    }

    #[test]
    fn what_nobody_attends_to_is_a_true_unknown() {
        let report = [taken(1, &[Bell::External(0)]), report(1, Reported::Unknown)];
        assert_eq!(judge(&report), Ok(()));
        let attended = [Fact::Attended(Bell::External(0))];
        assert_eq!(judge(&[&attended[..], &report].concat()), Err(Property::N1));
    }

    #[test]
    fn a_deferred_edge_may_be_reported_later() {
        let history = [
            taken(1, &[Bell::Button]),
            ended(1, Ending::Deferred),
            taken(2, &[Bell::Lvt]),
            report(1, Reported::Unknown),
        ];
        assert_eq!(judge(&history), Ok(()));
    }

    #[test]
    fn only_a_late_send_is_reported_as_one() {
        let in_time = [taken(1, &[Bell::Software]), report(1, Reported::LateSend)];
        assert_eq!(judge(&in_time), Err(Property::N1));
        let late = [taken(1, &[Bell::LateSoftware]), report(1, Reported::LateSend)];
        assert_eq!(judge(&late), Ok(()));
        let panicked = [taken(1, &[Bell::LateSoftware]), report(1, Reported::Unknown)];
        assert_eq!(judge(&panicked), Err(Property::N1));
    }
}
