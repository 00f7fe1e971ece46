// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small world: a few words, a script for each CPU, and edges that may land at any moment.

use std::cell::Cell;

use latchwork::simulation::{AtomicUsize, Ordering, OwnWord};

use crate::engine::{
    Bounds, Counterexample, Event, Fingerprint, Interruption, Place, Property, Report, Touches,
    Verdict, Violation, World, exhaust, this_cpu,
};

/// What a toy consists of. Its state is in [`Toy`].
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// One for each CPU.
    pub(super) scripts: &'static [fn(&Toy)],
    /// What an NMI runs.
    pub(super) handler: fn(&Toy),
    /// How many edges may land on CPU 0.
    pub(super) edges: usize,
    /// Says at the end what is wrong.
    pub(super) judge: fn(&Toy) -> Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { scripts: &[], handler: |_| (), edges: 0, judge: |_| None }
    }
}

pub(super) struct Toy {
    plan: Plan,
    pub(super) words: [AtomicUsize; 4],
    /// One for each CPU.
    pub(super) own: [OwnWord; 4],
    /// The result of each CPU. Not simulated memory.
    pub(super) said: [Cell<usize>; 4],
    pub(super) edges_left: Cell<usize>,
    latched: Cell<bool>,
    in_nmi: Cell<bool>,
}

impl Toy {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            words: [const { AtomicUsize::new(0) }; 4],
            own: [const { OwnWord::new(0) }; 4],
            said: Default::default(),
            edges_left: Cell::new(plan.edges),
            latched: Cell::new(false),
            in_nmi: Cell::new(false),
        }
    }

    pub(super) fn load(&self, word: usize) -> usize {
        self.words[word].load(Ordering::Acquire)
    }

    pub(super) fn store(&self, word: usize, value: usize) {
        self.words[word].store(value, Ordering::Release);
    }

    /// The word of the CPU that this code runs on.
    pub(super) fn own(&self) -> &OwnWord {
        &self.own[this_cpu().unwrap()]
    }

    pub(super) fn say(&self, value: usize) {
        self.said[this_cpu().unwrap()].set(value);
    }
}

impl World for Toy {
    fn cpus(&self) -> usize {
        self.plan.scripts.len()
    }
    fn run(&self, cpu: usize) {
        self.plan.scripts[cpu](self);
    }
    fn events(&self, out: &mut Vec<Event>) {
        if self.edges_left.get() > 0 {
            out.push(Event(0));
        }
    }
    fn fire(&self, _: Event) {
        self.edges_left.set(self.edges_left.get() - 1);
        self.latched.set(true);
    }
    fn interruption(&self, cpu: usize) -> Option<Interruption> {
        let taken = cpu == 0 && self.latched.get() && !self.in_nmi.get();
        taken.then_some(Interruption::Nmi)
    }
    fn interrupt(&self, _: usize, _: Interruption) {
        self.latched.set(false);
        self.in_nmi.set(true);
        (self.plan.handler)(self);
        self.in_nmi.set(false);
    }
    fn can_run(&self, _: usize) -> bool {
        true
    }
    fn violation(&self) -> Option<Violation> {
        None
    }
    fn finish(&self) -> Option<Violation> {
        (self.plan.judge)(self).map(|text| Violation::new(Property::C, text))
    }
    fn fold(&self, fingerprint: &mut Fingerprint) {
        for said in &self.said {
            fingerprint.fold(said.get() as u64);
        }
        fingerprint.fold(self.edges_left.get() as u64);
        fingerprint.fold(u64::from(self.latched.get()) | u64::from(self.in_nmi.get()) << 1);
    }
    fn touches(&self, _: Event, cpu: usize) -> Touches {
        if self.is_closed(cpu) { Touches::NOTHING } else { Touches::EVERYTHING }
    }
    /// Edges land on CPU 0 only, as long as there are any.
    fn is_closed(&self, cpu: usize) -> bool {
        let may_come = self.latched.get() || self.edges_left.get() != 0;
        cpu != 0 || self.in_nmi.get() || !may_come
    }
    fn describe(&self, _: Event) -> String {
        "an edge lands".into()
    }
}

/// A factory of toys of this plan.
pub(super) fn toys(plan: Plan) -> impl FnMut() -> &'static (dyn World + 'static) {
    let place = Place::new();
    // SAFETY: only the former execution referred to the former toy.
    move || unsafe { place.rebuild(|| Toy::new(plan)) }
}

pub(super) fn exhausted(plan: Plan, bounds: &Bounds) -> Report {
    exhaust(bounds, &mut toys(plan))
}

/// What an exhaustive search finds, which must have seen everything if it finds nothing.
pub(super) fn found(plan: Plan, bounds: &Bounds) -> Option<Counterexample> {
    match exhausted(plan, bounds).verdict {
        Verdict::Held => None,
        Verdict::Violated(found) => Some(*found),
        Verdict::Unfinished(limit) => panic!("{limit}"),
    }
}
