// SPDX-License-Identifier: MIT OR Apache-2.0
//! N2: the library absorbs no edge later than its bound after the claim that explains it, and no
//! more edges than the claims explain.
//!
//! For each CPU the monitor counts the edges that claims explain there, by what really rang. A
//! dispatch that consumes the conditions of k doorbells explains k − 1 further edges. Each of these
//! doorbells whose rings merge or come late explains as many more as it names. A claim outside an
//! NMI explains one more edge, from when a driver begins to make it. A machine-wide claim explains
//! as many, and one more, on each CPU of the route. Every claim on a CPU, and every ring of a send
//! to it, renews what is explained there.
//!
//! The bound is the sum of [`Timing::late_us`] (or what the doorbell says), the difference of the
//! clocks, and one tick period, in which a CPU that can take NMIs and ticks finds out that no edge
//! has come. Where interrupts are off or the tick is stopped, the cap takes the place of the tick
//! period. The monitor does not count time in which the CPU could take no NMI; nor, up to
//! [`Timing::hold_us`], time in which a send to it was unfinished; nor, up to [`DEFERRED_TICKS`],
//! time in which a deferred edge may have waited for a poll. Where a CPU took a request before its
//! send ended, the monitor does not count a tick period after that end either, until the CPU has
//! seen it.

use std::hash::Hash;

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Condition, Ending, Fact, Hardware, PmuKind, Ring, Timing},
};

/// For how many tick periods a deferred edge waits at most: until the debt is old enough, and for
/// the tick that pays it.
const DEFERRED_TICKS: u64 = 2;

/// The monitor of N2.
#[derive(Debug)]
pub struct Absorption {
    hardware: Hardware,
    timing: Timing,
    /// What is explained keeps the time at which it was, whatever is claimed later.
    is_strict: bool,
    cpus: Vec<Cpu>,
}

#[derive(Clone, Debug, Default, Hash)]
struct Cpu {
    /// What each NMI in progress has consumed, the innermost last.
    dispatches: Vec<Tally>,
    /// The doorbell whose condition it is claiming outside NMIs. That explains its rings already.
    claiming: Option<Bell>,
    /// For how long that claim has gone on.
    claiming_us: u64,
    /// What its tick has consumed so far.
    consumed_in_tick: Vec<Bell>,
    explained: Vec<Explained>,
    unfinished_sends: u8,
    /// It took requests while a send was unfinished, among them perhaps that send's.
    took_unfinished: bool,
    /// For how long a deferred edge may still wait, or the CPU may not have seen that a send has
    /// ended.
    waits_us: u64,
    /// For how long a send to it has been unfinished.
    held_us: u64,
}

#[derive(Clone, Debug, Default, Hash)]
struct Tally {
    bells: Vec<Bell>,
    sends: usize,
    /// Edges that NMIs on top of it absorbed, explained by what it had consumed until then.
    used: usize,
}

/// A number of explained edges.
#[derive(Clone, Copy, Debug, Hash)]
struct Explained {
    /// By a claim at that doorbell alone.
    bell: Option<Bell>,
    edges: usize,
    late_us: u64,
    /// How long ago a claim renewed it, in time in which the CPU could take NMIs.
    open_us: u64,
    /// The same, in time in which it could take interrupts, too.
    attentive_us: u64,
}

impl Absorption {
    /// For that machine.
    pub fn new(hardware: &Hardware, timing: &Timing) -> Self {
        let cpus = vec![Cpu::default(); hardware.cpus];
        Self { hardware: *hardware, timing: *timing, is_strict: false, cpus }
    }

    /// The same, more strictly: no claim renews what another one has explained, but that a claim
    /// whose edge may have been an earlier one's explains one more of its own.
    #[must_use]
    pub fn strictly(hardware: &Hardware, timing: &Timing) -> Self {
        Self { is_strict: true, ..Self::new(hardware, timing) }
    }

    /// How many further edges one claim at that doorbell explains, and how late they come.
    fn late_edges(&self, bell: Bell) -> (usize, u64) {
        match bell {
            Bell::Lvt => match self.hardware.pmu {
                PmuKind::Free { late_us, max_late_edges } => (max_late_edges.into(), late_us),
                PmuKind::Absent | PmuKind::Masking => (0, 0),
            },
            Bell::External(index) => {
                let kind = self.hardware.externals[usize::from(index)];
                let merges = kind.ring == Ring::PerEvent;
                (if merges { kind.max_late_edges.into() } else { 0 }, kind.late_us)
            }
            _ => (0, 0),
        }
    }

    /// The same for the counters, which have no route.
    fn late_edges_of(&self, tally: &Tally) -> (usize, u64) {
        if tally.bells.contains(&Bell::Lvt) { self.late_edges(Bell::Lvt) } else { (0, 0) }
    }

    fn explain(&mut self, cpu: usize, bell: Option<Bell>, edges: usize, late_us: u64) {
        let skew_us = self.hardware.skew_us.iter().copied().max().unwrap_or(0);
        let late_us = late_us.max(self.timing.late_us) + skew_us;
        self.renew(cpu, bell);
        if edges != 0 {
            let explained = Explained { bell, edges, late_us, open_us: 0, attentive_us: 0 };
            self.cpus[cpu].explained.push(explained);
        }
    }

    /// Something was claimed at `bell`, or its ring is made.
    fn renew(&mut self, cpu: usize, bell: Option<Bell>) {
        let is_strict = self.is_strict;
        let explained = self.cpus[cpu].explained.iter_mut();
        for it in explained.filter(|it| !is_strict || bell.is_some() && it.bell == bell) {
            (it.open_us, it.attentive_us) = (0, 0);
        }
    }

    fn consumed(&mut self, condition: Condition, cpu: usize) {
        self.claimed(condition.bell(), cpu);
    }

    fn claimed(&mut self, bell: Bell, cpu: usize) {
        let outside = match self.cpus[cpu].dispatches.last_mut() {
            Some(tally) => {
                if !tally.bells.contains(&bell) {
                    tally.bells.push(bell);
                }
                false
            }
            None => true,
        };
        if outside && self.cpus[cpu].claiming == Some(bell) {
            self.renew_rings(bell, cpu);
        } else {
            if outside {
                self.cpus[cpu].consumed_in_tick.push(bell);
            }
            let edges = self.late_edges(bell).0 + 1;
            self.explain_rings(bell, cpu, outside, edges);
        }
    }

    /// The library notes a claim only after the handler has returned, so this renews the edges from
    /// then on.
    fn renew_rings(&mut self, bell: Bell, cpu: usize) {
        self.explain_rings(bell, cpu, true, 0);
    }

    /// A claim of `bell` on `cpu` explains `edges` edges wherever `bell` rings, and renews those
    /// that are explained there already.
    fn explain_rings(&mut self, bell: Bell, cpu: usize, outside: bool, edges: usize) {
        let late_us = self.late_edges(bell).1;
        let route = match bell {
            Bell::External(index) => Some(self.hardware.externals[usize::from(index)].route),
            Bell::Port61 => self.hardware.port61,
            _ => None,
        };
        if outside {
            // Also on `cpu` itself, even if the doorbell rings elsewhere.
            self.renew(cpu, Some(bell));
        }
        if let Some(route) = route {
            for other in route.cpus(self.hardware.cpus) {
                self.explain(other, Some(bell), edges, late_us);
            }
        } else if outside {
            self.explain(cpu, Some(bell), edges, late_us);
        }
    }

    fn ended(&mut self, cpu: usize, ending: Ending) -> Result<(), Violation> {
        let tally = self.cpus[cpu].dispatches.pop().unwrap_or_default();
        for bell in &tally.bells {
            self.renew_rings(*bell, cpu);
        }
        if ending == Ending::Deferred {
            self.cpus[cpu].waits_us = DEFERRED_TICKS * self.hardware.tick_period_us;
        }
        if tally.has_claimed() {
            let (late_edges, late_us) = self.late_edges_of(&tally);
            let [edges, late_edges] = tally.left(late_edges);
            let was_another = self.is_strict && self.cpus[cpu].absorb();
            let bell = (tally.sends != 0).then_some(Bell::Software);
            // The edge may have been another one's, and the ring of the counters still come.
            self.explain(cpu, bell, edges + usize::from(was_another), late_us);
            self.explain(cpu, Some(Bell::Lvt), late_edges, late_us);
        }
        let explains = |it: &Self| {
            it.cpus[cpu]
                .dispatches
                .iter()
                .rposition(|tally| tally.left(it.late_edges_of(tally).0) != [0, 0])
        };
        if ending == Ending::Absorbed && !self.cpus[cpu].absorb() {
            if let Some(underneath) = explains(self) {
                self.cpus[cpu].dispatches[underneath].used += 1;
                return Ok(());
            }
            let text =
                format!("CPU {cpu} absorbs an edge that no claim explains, or none any more");
            return Err(Violation::new(Property::N2, text));
        }
        Ok(())
    }

    /// A driver whose claim has gone on for so long that what it explained at first may have ended
    /// explains it again.
    fn claims_slowly(&mut self, by_us: u64, cpu: usize) {
        let Some(bell) = self.cpus[cpu].claiming else { return };
        let (late_edges, late_us) = self.late_edges(bell);
        let before_us = self.cpus[cpu].claiming_us;
        self.cpus[cpu].claiming_us += by_us;
        let late_us = late_us.max(self.timing.late_us);
        if before_us < late_us && before_us + by_us >= late_us {
            self.explain_rings(bell, cpu, true, late_edges + 1);
        }
    }

    fn passed(&mut self, by_us: u64, deaf: bool, attentive: bool, cpu: usize) {
        let timing = self.timing;
        let tick_period_us = self.hardware.tick_period_us;
        // What a claim that is still going on explains has no end yet.
        let claiming: Vec<_> = self.cpus.iter().filter_map(|it| it.claiming).collect();
        let cpu = &mut self.cpus[cpu];
        if cpu.unfinished_sends != 0 && cpu.held_us < timing.hold_us {
            cpu.held_us += by_us;
            return;
        }
        if deaf {
            return;
        }
        let waited_us = by_us.min(cpu.waits_us);
        cpu.waits_us -= waited_us;
        let by_us = by_us - waited_us;
        let ages = |it: &&mut Explained| it.bell.is_none_or(|bell| !claiming.contains(&bell));
        for explained in cpu.explained.iter_mut().filter(ages) {
            explained.open_us += by_us;
            explained.attentive_us += if attentive { by_us } else { 0 };
        }
        cpu.explained.retain(|explained| {
            explained.open_us <= explained.late_us + timing.cap_us
                && explained.attentive_us <= explained.late_us + tick_period_us
        });
    }
}

impl Tally {
    fn has_claimed(&self) -> bool {
        self.bells.len() + self.sends != 0
    }

    /// How many further edges it explains at once, and how many of `late_edges`.
    fn left(&self, late_edges: usize) -> [usize; 2] {
        let edges = (self.bells.len() + self.sends).saturating_sub(1);
        let late_used = self.used.saturating_sub(edges);
        [edges.saturating_sub(self.used), late_edges.saturating_sub(late_used)]
    }
}

impl Cpu {
    /// Uses up one explained edge. Returns whether there was one.
    fn absorb(&mut self) -> bool {
        let Some(oldest) = self.explained.first_mut() else {
            return false;
        };
        oldest.edges -= 1;
        if oldest.edges == 0 {
            self.explained.remove(0);
        }
        true
    }
}

impl Monitor for Absorption {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        match *fact {
            Fact::Taken { cpu, .. } => self.cpus[cpu].dispatches.push(Tally::default()),
            Fact::Consumed { condition, cpu } => self.consumed(condition, cpu),
            Fact::FoundClear { bell, cpu } => self.claimed(bell, cpu),
            Fact::ClaimsOutside { bell, cpu } => {
                self.cpus[cpu].claiming = Some(bell);
                self.cpus[cpu].claiming_us = 0;
                let edges = self.late_edges(bell).0 + 1;
                self.explain_rings(bell, cpu, true, edges);
            }
            Fact::Ticked(cpu) => self.cpus[cpu].consumed_in_tick.clear(),
            Fact::TickEnded(cpu) => {
                for bell in std::mem::take(&mut self.cpus[cpu].consumed_in_tick) {
                    self.renew_rings(bell, cpu);
                }
            }
            Fact::ClaimedOutside { cpu } => {
                if let Some(bell) = self.cpus[cpu].claiming.take() {
                    self.renew_rings(bell, cpu);
                }
            }
            Fact::Served { cpu, sends, .. } => {
                let cpu = &mut self.cpus[cpu];
                cpu.took_unfinished |= cpu.unfinished_sends != 0;
                if let Some(tally) = cpu.dispatches.last_mut() {
                    tally.sends += sends;
                }
            }
            Fact::Ended { cpu, ending, .. } => return self.ended(cpu, ending),
            Fact::SendBegan { to } => {
                let cpu = &mut self.cpus[to];
                cpu.unfinished_sends += 1;
                cpu.held_us = 0;
            }
            Fact::SendRang { to } => self.renew(to, Some(Bell::Software)),
            Fact::SendEnded { to, .. } => {
                self.renew(to, Some(Bell::Software));
                let cpu = &mut self.cpus[to];
                cpu.unfinished_sends -= 1;
                cpu.held_us = 0;
                if cpu.took_unfinished {
                    cpu.waits_us = cpu.waits_us.max(self.hardware.tick_period_us);
                    cpu.took_unfinished = cpu.unfinished_sends != 0;
                }
            }
            Fact::Passed { by_us, deaf, ticking, .. } => {
                for cpu in 0..self.cpus.len() {
                    self.passed(by_us, deaf.has(cpu), ticking.has(cpu), cpu);
                    self.claims_slowly(by_us, cpu);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.cpus.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ended, passed, passed_deaf, taken, verdict};
    use super::*;
    use crate::machine::{CpuSet, ExternalKind, Route};

    const HARDWARE: Hardware = Hardware {
        cpus: 1,
        pmu: PmuKind::Masking,
        externals: &[ExternalKind::per_event(Route::All, 2)],
        ..Hardware::BARE
    };
    const SERVED_TWO: Fact = Fact::Served { cpu: 0, sends: 2, asked: 2 };
    const BOUND_US: u64 = Timing::SHORT.late_us + HARDWARE.tick_period_us;

    fn judge(history: &[&[Fact]]) -> Result<(), Property> {
        let monitor = Absorption::new(&HARDWARE, &Timing::SHORT);
        verdict(monitor, &history.concat()).map_err(|violation| violation.property)
    }

    fn claims_two() -> Vec<Fact> {
        vec![taken(1, &[Bell::Software]), SERVED_TWO, ended(1, Ending::Claimed)]
    }

    fn absorbs() -> Vec<Fact> {
        vec![taken(2, &[Bell::Software]), ended(2, Ending::Absorbed)]
    }

    fn counter(bit: u8) -> Fact {
        Fact::Consumed { condition: Condition::Counter { cpu: 0, bit }, cpu: 0 }
    }

    #[test]
    fn two_sends_taken_at_once_explain_one_more_edge() {
        assert_eq!(judge(&[&claims_two(), &absorbs()]), Ok(()));
        assert_eq!(judge(&[&claims_two(), &absorbs(), &absorbs()]), Err(Property::N2));
    }

    #[test]
    fn an_edge_on_top_is_explained_by_what_is_underneath() {
        let [taken_two, served, ended_two] = &claims_two()[..] else { unreachable!() };
        let on_top = |absorbed: &[Fact]| {
            let history =
                [&[taken_two.clone(), served.clone()], absorbed, std::slice::from_ref(ended_two)];
            history.concat()
        };
        assert_eq!(judge(&[&on_top(&absorbs())]), Ok(()));
        assert_eq!(judge(&[&on_top(&absorbs()), &absorbs()]), Err(Property::N2));
        assert_eq!(judge(&[&on_top(&[absorbs(), absorbs()].concat())]), Err(Property::N2));
    }

    #[test]
    fn two_counters_behind_one_doorbell_explain_none() {
        let claims = [taken(1, &[Bell::Lvt]), counter(1), counter(2), ended(1, Ending::Claimed)];
        assert_eq!(judge(&[&claims, &absorbs()]), Err(Property::N2));
    }

    #[test]
    fn a_claim_in_a_tick_renews_what_is_explained_there_though_its_rings_go_elsewhere() {
        const ELSEWHERE: &[ExternalKind] = &[ExternalKind::per_event(Route::Some(&[1]), 1)];
        let hardware = Hardware { cpus: 2, externals: ELSEWHERE, ..HARDWARE };
        let judge = |between: &[Fact]| {
            let history =
                [&claims_two()[..], &[passed(BOUND_US)], between, &[passed(1)], &absorbs()];
            let monitor = Absorption::new(&hardware, &Timing::SHORT);
            verdict(monitor, &history.concat()).map_err(|violation| violation.property)
        };
        assert_eq!(judge(&[]), Err(Property::N2));
        assert_eq!(judge(&[Fact::Consumed { condition: Condition::External(0), cpu: 0 }]), Ok(()));
    }

    #[test]
    fn what_comes_later_than_the_bound_is_not_explained() {
        assert_eq!(judge(&[&claims_two(), &[passed(BOUND_US)], &absorbs()]), Ok(()));
        let late = judge(&[&claims_two(), &[passed(BOUND_US + 1)], &absorbs()]);
        assert_eq!(late, Err(Property::N2));
    }

    #[test]
    fn time_in_which_no_nmi_could_be_taken_does_not_count() {
        let parked = [passed_deaf(50_000)];
        assert_eq!(judge(&[&claims_two(), &parked, &absorbs()]), Ok(()));
    }

    #[test]
    fn with_interrupts_off_the_cap_is_the_bound() {
        let nobody = CpuSet(0);
        let off = |by_us| {
            let (deaf, attentive, ticking) = (nobody, nobody, nobody);
            [Fact::Passed { by_us, deaf, attentive, ticking, busy: false }]
        };
        assert_eq!(judge(&[&claims_two(), &off(5_000), &absorbs()]), Ok(()));
        assert_eq!(judge(&[&claims_two(), &off(10_201), &absorbs()]), Err(Property::N2));
    }

    #[test]
    fn an_unfinished_send_holds_but_not_for_ever() {
        let began = [Fact::SendBegan { to: 0 }];
        let held = [passed(5_000), Fact::SendRang { to: 0 }, passed(100)];
        assert_eq!(judge(&[&began, &claims_two(), &held, &absorbs()]), Ok(()));
        let stuck = [passed(10_000), passed(BOUND_US + 1)];
        assert_eq!(judge(&[&began, &claims_two(), &stuck, &absorbs()]), Err(Property::N2));
    }

    #[test]
    fn a_claim_outside_explains_edges_on_the_route() {
        let outside = [Fact::Consumed { condition: Condition::External(0), cpu: 0 }];
        let three = [absorbs(), absorbs(), absorbs()].concat();
        assert_eq!(judge(&[&outside, &three]), Ok(()));
        assert_eq!(judge(&[&outside, &three, &absorbs()]), Err(Property::N2));
    }

    #[test]
    fn a_claim_that_a_driver_is_about_to_make_explains_its_edges_once() {
        let begins = [Fact::ClaimsOutside { bell: Bell::External(0), cpu: 0 }];
        let makes = [
            Fact::Consumed { condition: Condition::External(0), cpu: 0 },
            Fact::ClaimedOutside { cpu: 0 },
        ];
        assert_eq!(judge(&[&begins, &absorbs(), &makes, &absorbs(), &absorbs()]), Ok(()));
        let three = [absorbs(), absorbs(), absorbs()].concat();
        assert_eq!(judge(&[&begins, &absorbs(), &makes, &three]), Err(Property::N2));
    }
}
