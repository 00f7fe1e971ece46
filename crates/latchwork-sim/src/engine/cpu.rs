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
    context: Cell<Context>,
    /// Hash of what was interrupted, level by level.
    below: Cell<u64>,
}

/// One level of a CPU's stack.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// 0 is the base context.
    pub(super) level: usize,
    pub(super) pace: Pace,
    /// Accesses in this context.
    pub(super) accesses: usize,
    /// All that this context has learned, and how far it has come.
    history: Fingerprint,
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
#[derive(Clone, Copy)]
struct Wait {
    /// What the turn in progress has seen, and the turn before it.
    turn: Fingerprint,
    last_turn: Fingerprint,
    /// The history after the turn before.
    history: Fingerprint,
    /// The machine's changes when the turn began, and those of this context since.
    began_at_changes: u64,
    own_changes: u64,
}

impl Context {
    fn new(level: usize, pace: Pace, changes: u64) -> Self {
        let nothing = Fingerprint::new();
        Self {
            level,
            pace,
            accesses: 0,
            history: nothing,
            wait: Wait {
                turn: nothing,
                last_turn: nothing,
                history: nothing,
                began_at_changes: changes,
                own_changes: 0,
            },
        }
    }

    /// Whether it waits, and nobody else has changed anything since its turn began.
    pub(super) fn waits_in_vain(&self, changes: u64) -> bool {
        self.pace == Pace::Waiting
            && changes.wrapping_sub(self.wait.began_at_changes) == self.wait.own_changes
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
            context: Cell::new(Context::new(0, Pace::Fresh, 0)),
            below: Cell::new(0),
        }
    }

    /// As before the execution.
    pub(super) fn reset(&self) {
        self.buffer.clear();
        self.accesses.set(0);
        self.interruptions.set(0);
        self.context.set(Context::new(0, Pace::Fresh, 0));
        self.below.set(0);
    }

    pub(super) fn context(&self) -> Context {
        self.context.get()
    }

    pub(super) fn set_pace(&self, pace: Pace) {
        let mut context = self.context.get();
        context.pace = pace;
        self.context.set(context);
    }

    /// This context has made an access and seen this.
    #[inline]
    pub(super) fn saw(&self, what: u64, changed: bool) {
        self.accesses.set(self.accesses.get().wrapping_add(1));
        let mut context = self.context.get();
        context.accesses = context.accesses.wrapping_add(1);
        context.wait.own_changes = context.wait.own_changes.wrapping_add(changed.into());
        context.history.fold(what);
        context.wait.turn.fold(what);
        self.context.set(context);
    }

    /// This context has learned this without an access.
    pub(super) fn learned(&self, what: u64) {
        let mut context = self.context.get();
        context.history.fold(what);
        context.wait.turn.fold(what);
        self.context.set(context);
    }

    /// A turn of a busy wait is over. If it saw what the turn before it saw, nothing remains of it.
    pub(super) fn end_turn(&self) {
        let mut context = self.context.get();
        let wait = &mut context.wait;
        if wait.turn == wait.last_turn {
            context.history = wait.history;
        } else {
            context.history.fold(RELAX);
            wait.history = context.history;
            wait.last_turn = wait.turn;
        }
        context.pace = Pace::Waiting;
        self.context.set(context);
    }

    /// The next turn begins.
    pub(super) fn begin_turn(&self, changes: u64) {
        let mut context = self.context.get();
        context.wait.turn = Fingerprint::new();
        context.wait.began_at_changes = changes;
        context.wait.own_changes = 0;
        context.pace = Pace::Running;
        self.context.set(context);
    }

    /// The base context knows nothing any more.
    pub(super) fn forget(&self, changes: u64) {
        let context = self.context.get();
        if context.level == 0 {
            let accesses = context.accesses;
            self.context.set(Context { accesses, ..Context::new(0, context.pace, changes) });
        }
    }

    /// A handler begins on top of this context, which is returned.
    pub(super) fn enter(&self, what: Interruption, changes: u64) -> Interrupted {
        let interrupted = Interrupted { context: self.context.get(), below: self.below.get() };
        let mut below = Fingerprint::new();
        below.fold(interrupted.below);
        below.fold(interrupted.context.print(changes));
        self.below.set(below.value());
        let level = interrupted.context.level.wrapping_add(1);
        let mut context = Context::new(level, Pace::Running, changes);
        context.history.fold(match what {
            Interruption::Nmi => u64::MAX,
            Interruption::Irq(vector) => vector.into(),
        });
        self.context.set(context);
        self.interruptions.set(self.interruptions.get().wrapping_add(1));
        interrupted
    }

    /// The handler is over.
    pub(super) fn leave(&self, interrupted: Interrupted) {
        self.context.set(interrupted.context);
        self.below.set(interrupted.below);
    }

    /// Takes in this CPU's part of the state.
    pub(super) fn fold(&self, changes: u64, fingerprint: &mut Fingerprint) {
        fingerprint.fold(self.below.get());
        fingerprint.fold(self.context.get().print(changes));
        self.buffer.fold(fingerprint);
    }
}

impl Context {
    fn print(&self, changes: u64) -> u64 {
        let mut print = self.history;
        print.fold(self.pace as u64 | u64::from(self.waits_in_vain(changes)) << 8);
        scramble(print.value())
    }
}

/// What a handler interrupted.
pub(super) struct Interrupted {
    context: Context,
    below: u64,
}

const RELAX: u64 = 0x7265_6c61_7800;
