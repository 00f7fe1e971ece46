// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens in an execution, one thing after another, for the code that shows it. No monitor
//! judges by it, and it decides nothing but when a [demo](crate::demo) lets the next thing happen.
//!
//! A [timeline](crate::engine::Timeline) has the same as lines of text, for a replay.

use std::cell::{Cell, RefCell};

use latchwork::GrantKind;

use crate::{
    engine::{self, Interruption},
    machine::{Bell, Doing, Edge, Fact, Occurrence, current},
    policy::Action,
};

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The world's clock, in microseconds.
    pub at_us: u64,
    /// The CPU whose code does it, or in whose code it shows. None for the environment.
    pub by: Option<usize>,
    /// What.
    pub what: What,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What those hear who judge.
    Fact(Fact),
    /// The environment is about to do this.
    Event(Occurrence),
    /// An edge has come to a CPU's latch.
    Landed {
        /// Whose.
        cpu: usize,
        /// What rang.
        bell: Bell,
        /// What was in the latch before: the edge is one with it now.
        latched: Edge,
        /// NMIs are blocked there, so that the edge is remembered.
        is_blocked: bool,
    },
    /// A CPU takes an interruption.
    Enters(Interruption),
    /// It returns from it.
    Leaves(Interruption),
    /// A CPU begins with what its script says.
    Acts(Action),
    /// A CPU executes nothing more for a while.
    Remains(Doing),
    /// What a policy says it does, for people.
    Says(String),
    /// What Latchwork's statistics say that it has done.
    Does(Deed),
}

/// Something that Latchwork counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It has absorbed an edge, by a grant of that kind.
    Absorbed(GrantKind),
    /// A tick has paid what was owed, by a poll outside NMIs.
    PaidByPoll,
    /// A tick has sent a probe.
    SentProbe,
    /// A poll has found so many conditions for which no unexplained edge asked.
    Recovered(usize),
}

thread_local! {
    static IS_HEARD: Cell<bool> = const { Cell::new(false) };
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body`, and returns what happened on this thread's machine meanwhile.
pub fn listen<R>(body: impl FnOnce() -> R) -> (R, Vec<Told>) {
    TOLD.take();
    IS_HEARD.set(true);
    let result = body();
    IS_HEARD.set(false);
    (result, TOLD.take())
}

/// Looks at what has happened since somebody listens.
pub fn so_far<R>(look: impl FnOnce(&[Told]) -> R) -> R {
    TOLD.with_borrow(|told| look(told))
}

/// Somebody listens.
pub(crate) fn is_heard() -> bool {
    IS_HEARD.get()
}

/// Tells this, if somebody listens.
#[inline]
pub(crate) fn tell(what: impl FnOnce() -> What) {
    if is_heard() {
        tell_at(current().with(|state| state.now_us), what);
    }
}

/// As [`tell`], where the machine's state is in use.
#[inline]
pub(crate) fn tell_at(at_us: u64, what: impl FnOnce() -> What) {
    if is_heard() {
        keep(at_us, what());
    }
}

#[cold]
fn keep(at_us: u64, what: What) {
    let one = Told { at_us, by: engine::this_cpu(), what };
    TOLD.with_borrow_mut(|told| told.push(one));
}
