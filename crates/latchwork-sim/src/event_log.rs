// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of what happens in an execution, in order, for the code that shows it. No monitor judges
//! by it. Only a [demo](crate::demo) decides by it when the environment acts next.
//!
//! A replay's [timeline](crate::engine::Timeline) has the same as lines of text.

use std::cell::{Cell, RefCell};

use latchwork::GrantKind;

use crate::{
    engine::{self, Interruption},
    machine::{Bell, Doing, Edge, Fact, Occurrence, current},
    policy::Action,
};

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The world's clock, in microseconds.
    pub at_us: u64,
    /// The CPU whose code does it; `None` for the environment.
    pub by: Option<usize>,
    /// What happened.
    pub what: Logged,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// A fact, as the monitors get it.
    Fact(Fact),
    /// The environment is about to do this.
    Event(Occurrence),
    /// An edge has come to a CPU's latch.
    Landed {
        /// The CPU.
        cpu: usize,
        /// What rang.
        bell: Bell,
        /// What was in the latch before, with which the edge now collapses.
        latched: Edge,
        /// NMIs are blocked there, so the latch keeps the edge.
        is_blocked: bool,
    },
    /// A CPU takes an interruption.
    Enters(Interruption),
    /// The CPU returns from it.
    Leaves(Interruption),
    /// A CPU begins a step of its script.
    Acts(Action),
    /// A CPU executes nothing more for a while.
    Remains(Doing),
    /// A policy says in words what it does.
    Says(String),
    /// Latchwork has done this, by its own statistics.
    Does(Deed),
}

/// Something that Latchwork counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Latchwork has absorbed an edge, by a grant of that kind.
    Absorbed(GrantKind),
    /// A tick has paid the debt, by a poll outside NMIs.
    PaidByPoll,
    /// A tick has sent a probe.
    SentProbe,
    /// A poll has found so many conditions for which no unexplained edge asked.
    Recovered(usize),
}

thread_local! {
    static IS_RECORDING: Cell<bool> = const { Cell::new(false) };
    static ENTRIES: RefCell<Vec<LogEntry>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body`, and returns the log of what happened on this thread's machine meanwhile.
pub fn record<R>(body: impl FnOnce() -> R) -> (R, Vec<LogEntry>) {
    ENTRIES.take();
    IS_RECORDING.set(true);
    let result = body();
    IS_RECORDING.set(false);
    (result, ENTRIES.take())
}

/// Calls `look` with the entries of the recording in progress.
pub fn with_entries<R>(look: impl FnOnce(&[LogEntry]) -> R) -> R {
    ENTRIES.with_borrow(|entries| look(entries))
}

/// Whether [`record`] is in progress.
pub(crate) fn is_recording() -> bool {
    IS_RECORDING.get()
}

/// Appends an entry, if [`record`] is in progress.
#[inline]
pub(crate) fn append(what: impl FnOnce() -> Logged) {
    if is_recording() {
        append_at(current().with(|state| state.now_us), what);
    }
}

/// As [`append`], where the machine's state is in use.
#[inline]
pub(crate) fn append_at(at_us: u64, what: impl FnOnce() -> Logged) {
    if is_recording() {
        keep(at_us, what());
    }
}

#[cold]
fn keep(at_us: u64, what: Logged) {
    let entry = LogEntry { at_us, by: engine::this_cpu(), what };
    ENTRIES.with_borrow_mut(|entries| entries.push(entry));
}
