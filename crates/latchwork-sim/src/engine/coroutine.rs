// SPDX-License-Identifier: MIT OR Apache-2.0
//! Simulated CPUs' stacks, and how they change hands.
//!
//! A CPU is a coroutine, and an interruption is a call on its stack. A search may cut an execution
//! short anywhere. The engine then *resets* its coroutines: it forgets what is on their stacks, and
//! drops nothing. To unwind them would run destructors of the software under test on a machine that
//! stands still: a registration's destructor waits until no CPU is in the handler, and such a CPU
//! would never leave. It would also need `panic = "unwind"`, which the workspace's other profiles
//! do not have.

use std::{cell::Cell, ptr::NonNull};

use corosensei::{
    Coroutine, Yielder,
    stack::{DefaultStack, Stack},
};

/// Generous: the host allocates only pages that are touched, and the formatting of a note goes
/// deep.
const STACK_BYTES: usize = 256 * 1024;

/// The coroutine's side of a switch.
#[derive(Default)]
pub(super) struct Suspension {
    yielder: Cell<Option<NonNull<Yielder<(), ()>>>>,
    /// The lowest and the first address above the stack.
    stack: Cell<(usize, usize)>,
}

impl Suspension {
    /// Whether this address is on the coroutine's stack.
    pub(super) fn has_on_stack(&self, address: usize) -> bool {
        let (lowest, end) = self.stack.get();
        (lowest..end).contains(&address)
    }

    /// Goes back to whoever resumed this coroutine, until it is resumed again.
    pub(super) fn suspend(&self) {
        let Some(yielder) = self.yielder.get() else {
            unreachable!("a CPU suspends on its own stack")
        };
        // SAFETY: the yielder lies at the base of the stack that runs now, for as long as it does.
        unsafe { yielder.as_ref() }.suspend(());
    }
}

/// A CPU's coroutine, or the stack for one.
pub(super) struct Thread {
    coroutine: Option<Coroutine<(), (), ()>>,
    stack: Option<DefaultStack>,
}

impl Thread {
    pub(super) fn new() -> Self {
        let stack = DefaultStack::new(STACK_BYTES).expect("memory for a stack");
        Self { coroutine: None, stack: Some(stack) }
    }

    /// Has it run `body` when it is next resumed, and forgets what it ran before.
    pub(super) fn start(&mut self, suspension: &'static Suspension, body: impl FnOnce() + 'static) {
        self.reset();
        let Some(stack) = self.stack.take() else { unreachable!("a reset thread has a stack") };
        suspension.stack.set((stack.limit().get(), stack.base().get()));
        self.coroutine =
            Some(Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
                suspension.yielder.set(Some(NonNull::from(yielder)));
                body();
            }));
    }

    /// Runs it until it suspends or ends.
    pub(super) fn resume(&mut self) {
        if let Some(coroutine) = &mut self.coroutine {
            coroutine.resume(());
        }
    }

    fn reset(&mut self) {
        let Some(mut coroutine) = self.coroutine.take() else { return };
        // SAFETY: what lies on the stack is forgotten. Nobody uses it again: the world in which
        // this CPU ran is never run again, and by the contract of `World` and `Place` neither does
        // its `Drop` touch what lies here.
        unsafe { coroutine.force_reset() };
        self.stack = Some(coroutine.into_stack());
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.reset();
    }
}
