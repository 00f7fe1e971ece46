// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the engine knows of one simulated CPU.

use std::cell::Cell;

use super::{
    coroutine::Suspension,
    fingerprint::{Fingerprint, scramble},
    store_buffer::StoreBuffer,
    world::Interruption,
};

/// A simulated CPU.
pub(super) struct Cpu {
    pub(super) id: usize,
    pub(super) suspension: Suspension,
    pub(super) buffer: StoreBuffer,
    /// Accesses to memory and hardware since the execution began.
    pub(super) accesses: Cell<usize>,
    /// Interruptions taken since the execution began.
    pub(super) interruptions: Cell<usize>,
    /// What it is running: its base context, or the handler of an interruption.
    context: Context,
    /// Hash of what was interrupted, level by level.
    below: Cell<u64>,
}

/// The level of a CPU's stack that is running.
struct Context {
    /// 0 is the base context.
    level: Cell<usize>,
    pace: Cell<Pace>,
    /// Accesses in this context.
    accesses: Cell<usize>,
    /// A hash of all that this context has learned, and of how far it has come.
    history: Cell<Fingerprint>,
    wait: Wait,
}

/// Whether a context wants to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It has not begun.
    Fresh,
    Running,
    /// It is between two turns of a busy wait.
    Waiting,
    /// It has returned. Base contexts only.
    Finished,
}

/// A busy wait, turn by turn.
struct Wait {
    /// What the turn in progress has seen, and the turn before it.
    turn: Cell<Fingerprint>,
    last_turn: Cell<Fingerprint>,
    /// The history after the turn before.
    history: Cell<Fingerprint>,
    /// The machine's changes when the turn began, and those of this context since.
    began_at_changes: Cell<u64>,
    own_changes: Cell<u64>,
}

impl Context {
    fn new(level: usize, pace: Pace, changes: u64) -> Self {
        let nothing = || Cell::new(Fingerprint::new());
        Self {
            level: Cell::new(level),
            pace: Cell::new(pace),
            accesses: Cell::new(0),
            history: nothing(),
            wait: Wait {
                turn: nothing(),
                last_turn: nothing(),
                history: nothing(),
                began_at_changes: Cell::new(changes),
                own_changes: Cell::new(0),
            },
        }
    }

    /// Swaps its content with that of `other`.
    fn swap(&self, other: &Self) {
        self.level.swap(&other.level);
        self.pace.swap(&other.pace);
        self.accesses.swap(&other.accesses);
        self.history.swap(&other.history);
        self.wait.turn.swap(&other.wait.turn);
        self.wait.last_turn.swap(&other.wait.last_turn);
        self.wait.history.swap(&other.wait.history);
        self.wait.began_at_changes.swap(&other.wait.began_at_changes);
        self.wait.own_changes.swap(&other.wait.own_changes);
    }

    fn learned(&self, what: u64) {
        for known in [&self.history, &self.wait.turn] {
            let mut print = known.get();
            print.fold(what);
            known.set(print);
        }
    }

    fn waits_in_vain(&self, changes: u64) -> bool {
        let since = changes.wrapping_sub(self.wait.began_at_changes.get());
        self.pace.get() == Pace::Waiting && since == self.wait.own_changes.get()
    }

    fn print(&self, changes: u64) -> u64 {
        let mut print = self.history.get();
        print.fold(self.pace.get() as u64 | u64::from(self.waits_in_vain(changes)) << 8);
        scramble(print.value())
    }
}

impl Cpu {
    pub(super) fn new(id: usize) -> Self {
        Self {
            id,
            suspension: Suspension::default(),
            buffer: StoreBuffer::default(),
            accesses: Cell::new(0),
            interruptions: Cell::new(0),
            context: Context::new(0, Pace::Fresh, 0),
            below: Cell::new(0),
        }
    }

    /// Resets it to the state before an execution.
    pub(super) fn reset(&self) {
        self.buffer.clear();
        self.accesses.set(0);
        self.interruptions.set(0);
        self.context.swap(&Context::new(0, Pace::Fresh, 0));
        self.below.set(0);
    }

    /// How many interruptions deep it is.
    pub(super) fn level(&self) -> usize {
        self.context.level.get()
    }

    pub(super) fn pace(&self) -> Pace {
        self.context.pace.get()
    }

    pub(super) fn set_pace(&self, pace: Pace) {
        self.context.pace.set(pace);
    }

    /// Accesses in the context that is running.
    pub(super) fn accesses_in_context(&self) -> usize {
        self.context.accesses.get()
    }

    /// Whether it waits, and no other context has changed anything since its turn began.
    pub(super) fn waits_in_vain(&self, changes: u64) -> bool {
        self.context.waits_in_vain(changes)
    }

    /// This context has made an access and seen this.
    #[inline]
    pub(super) fn saw(&self, what: u64, changed: bool) {
        let context = &self.context;
        self.accesses.set(self.accesses.get().wrapping_add(1));
        context.accesses.set(context.accesses.get().wrapping_add(1));
        let own_changes = &context.wait.own_changes;
        own_changes.set(own_changes.get().wrapping_add(changed.into()));
        context.learned(what);
    }

    /// This context has learned this without an access.
    pub(super) fn learned(&self, what: u64) {
        self.context.learned(what);
    }

    /// A turn of a busy wait is over. If it saw what the turn before it saw, nothing remains of it.
    pub(super) fn end_turn(&self) {
        let Context { history, wait, pace, .. } = &self.context;
        if wait.turn.get() == wait.last_turn.get() {
            history.set(wait.history.get());
        } else {
            let mut print = history.get();
            print.fold(RELAX);
            history.set(print);
            wait.history.set(print);
            wait.last_turn.set(wait.turn.get());
        }
        pace.set(Pace::Waiting);
    }

    /// The next turn begins.
    pub(super) fn begin_turn(&self, changes: u64) {
        let Context { wait, pace, .. } = &self.context;
        wait.turn.set(Fingerprint::new());
        wait.began_at_changes.set(changes);
        wait.own_changes.set(0);
        pace.set(Pace::Running);
    }

    /// The base context knows nothing any more.
    pub(super) fn forget(&self, changes: u64) {
        let context = &self.context;
        if context.level.get() == 0 {
            let rested = Context::new(0, context.pace.get(), changes);
            rested.accesses.set(context.accesses.get());
            context.swap(&rested);
        }
    }

    /// A handler begins on top of this context, which is returned.
    pub(super) fn enter(&self, what: Interruption, changes: u64) -> Interrupted {
        let mut below = Fingerprint::new();
        below.fold(self.below.get());
        below.fold(self.context.print(changes));
        let level = self.context.level.get().wrapping_add(1);
        let context = Context::new(level, Pace::Running, changes);
        context.learned(match what {
            Interruption::Nmi => u64::MAX,
            Interruption::Irq(vector) => vector.into(),
        });
        self.context.swap(&context);
        self.interruptions.set(self.interruptions.get().wrapping_add(1));
        Interrupted { context, below: self.below.replace(below.value()) }
    }

    /// The handler is over.
    pub(super) fn leave(&self, interrupted: &Interrupted) {
        self.context.swap(&interrupted.context);
        self.below.set(interrupted.below);
    }

    /// Takes in this CPU's part of the state.
    pub(super) fn fold(&self, changes: u64, fingerprint: &mut Fingerprint) {
        fingerprint.fold(self.below.get());
        fingerprint.fold(self.context.print(changes));
        self.buffer.fold(fingerprint);
    }
}

/// What a handler interrupted.
pub(super) struct Interrupted {
    context: Context,
    below: u64,
}

const RELAX: u64 = 0x7265_6c61_7800;
