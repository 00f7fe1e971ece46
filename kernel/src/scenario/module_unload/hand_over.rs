// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registrations that CPU 0 hands to an NMI, which removes them.
//!
//! ```text
//! EMPTY ──offered──► OFFERED ──an NMI takes──► TAKEN ──it is done──► DONE ──collected──► EMPTY
//!                         └───────────────────withdrawn───────────────────────────────┘
//! ```

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler, Registration, RemoveError, Ticket};
use latchwork_x86::entry::NmiFrame;

use super::loader;
use crate::scenario::Tally;

/// The handler that removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The one that is removed, while it runs.
    Itself,
    /// One that the library asks before it.
    Another,
}

/// What the handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Take the handler out without waiting, as is right in an NMI.
    TryRemove,
    /// The same, and unmap the module at once: a fault.
    TryRemoveAndUnmap,
    /// Remove it and wait, which the library must refuse.
    RemoveAndWait,
}

/// What an NMI does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// On which CPU.
    pub(super) cpu: usize,
    pub(super) by: By,
    pub(super) what: What,
    /// Only in an NMI that interrupted CPU 0 in a writer ([`in_a_writer`]).
    pub(super) on_top_of_writer: bool,
    /// The first page of the module.
    pub(super) first_page: usize,
}

/// The outcome of an order.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The handler is taken out. The ticket says when the removal is over; the flag says whether
    /// the ticket did so in that very NMI.
    GivenUp { ticket: Ticket, over_at_once: bool },
    /// What the removal with waiting answered.
    Answer(Result<(), RemoveError>),
}

enum Content {
    Nothing,
    Offer(Order, Registration),
    Outcome(Outcome),
}

const EMPTY: usize = 0;
const OFFERED: usize = 1;
const TAKEN: usize = 2;
const DONE: usize = 3;

struct HandOver {
    /// The context that has written the content stores, Release; the context that takes it over
    /// loads, Acquire.
    state: AtomicUsize,
    /// The order once more, for NMIs to read before they take it.
    cpu: AtomicUsize,
    by_another: AtomicBool,
    on_top_of_writer: AtomicBool,
    gives_up: AtomicBool,
    content: UnsafeCell<Content>,
}

// SAFETY: the content belongs to CPU 0's thread while the state is EMPTY or DONE, to the NMI that
// moved it to TAKEN until it moves it on, and to nobody while it is OFFERED.
unsafe impl Sync for HandOver {}

static HAND_OVER: HandOver = HandOver {
    state: AtomicUsize::new(EMPTY),
    cpu: AtomicUsize::new(0),
    by_another: AtomicBool::new(false),
    on_top_of_writer: AtomicBool::new(false),
    gives_up: AtomicBool::new(false),
    content: UnsafeCell::new(Content::Nothing),
};

/// CPU 0 is in a registration or a removal. Writer: CPU 0's thread; reader: its NMIs.
static WRITING: AtomicBool = AtomicBool::new(false);

/// Calls of a handler by a CPU that had given it up before.
pub(super) static ASKED_AFTER: Tally = Tally::new();

impl HandOver {
    /// # Safety
    ///
    /// The content is the caller's.
    unsafe fn replace(&self, content: Content) -> Content {
        // SAFETY: nobody else touches the content now, as the caller says.
        unsafe { core::mem::replace(&mut *self.content.get(), content) }
    }
}

/// Offers a registration to an NMI. CPU 0, when nothing is offered.
pub(super) fn offer(order: Order, registration: Registration) {
    HAND_OVER.cpu.store(order.cpu, Ordering::Relaxed);
    HAND_OVER.by_another.store(order.by == By::Another, Ordering::Relaxed);
    HAND_OVER.on_top_of_writer.store(order.on_top_of_writer, Ordering::Relaxed);
    HAND_OVER.gives_up.store(order.what != What::RemoveAndWait, Ordering::Relaxed);
    // SAFETY: nothing is offered, so the content is CPU 0's.
    unsafe { HAND_OVER.replace(Content::Offer(order, registration)) };
    HAND_OVER.state.store(OFFERED, Ordering::Release);
}

/// The outcome of the offer, once an NMI is done with it. CPU 0.
pub(super) fn collect() -> Option<Outcome> {
    if !is_done() {
        return None;
    }
    // SAFETY: the NMI is done, so the content is CPU 0's.
    let content = unsafe { HAND_OVER.replace(Content::Nothing) };
    HAND_OVER.state.store(EMPTY, Ordering::Release);
    match content {
        Content::Outcome(outcome) => Some(outcome),
        Content::Nothing | Content::Offer(..) => None,
    }
}

/// Whether an NMI has carried out the order. CPU 0.
pub(super) fn is_done() -> bool {
    HAND_OVER.state.load(Ordering::Acquire) == DONE
}

/// Takes back what no NMI has taken. CPU 0.
pub(super) fn withdraw() -> Option<Registration> {
    let from = &HAND_OVER.state;
    from.compare_exchange(OFFERED, TAKEN, Ordering::Acquire, Ordering::Relaxed).ok()?;
    // SAFETY: the exchange gave the content to this thread.
    let content = unsafe { HAND_OVER.replace(Content::Nothing) };
    from.store(EMPTY, Ordering::Release);
    match content {
        Content::Offer(_, registration) => Some(registration),
        Content::Nothing | Content::Outcome(_) => None,
    }
}

/// Runs `write`, which registers or removes, and notes that for NMIs. CPU 0.
pub(super) fn in_a_writer<R>(write: impl FnOnce() -> R) -> R {
    WRITING.store(true, Ordering::Relaxed);
    let result = write();
    WRITING.store(false, Ordering::Relaxed);
    result
}

/// Whether the NMI interrupted CPU 0 in a registration or a removal where it keeps interrupts out:
/// with the writer lock, or about to take it, or just after it.
fn interrupted_writer(ctx: &NmiContext<'_>) -> bool {
    const INTERRUPTS_ON: u64 = 1 << 9;
    // SAFETY: the frame is that of the NMI in progress, by the kernel's own entry.
    let frame = unsafe { NmiFrame::from_opaque(ctx.frame()) };
    let interrupts_off = frame.is_some_and(|frame| frame.hardware.rflags & INTERRUPTS_ON == 0);
    ctx.cpu() == 0 && WRITING.load(Ordering::Relaxed) && interrupts_off
}

/// Carries out the order, if it is for this CPU and for the handler `by`. In an NMI.
pub(super) fn carry_out(by: By, ctx: &NmiContext<'_>) {
    let here = HAND_OVER.cpu.load(Ordering::Relaxed) == ctx.cpu();
    match HAND_OVER.state.load(Ordering::Acquire) {
        OFFERED if here => {}
        DONE if here && by == By::Itself && HAND_OVER.gives_up.load(Ordering::Relaxed) => {
            return ASKED_AFTER.add(1);
        }
        _ => return,
    }
    let by_another = HAND_OVER.by_another.load(Ordering::Relaxed);
    let waits_for_writer = HAND_OVER.on_top_of_writer.load(Ordering::Relaxed);
    if by_another != (by == By::Another) || (waits_for_writer && !interrupted_writer(ctx)) {
        return;
    }
    let state = &HAND_OVER.state;
    if state.compare_exchange(OFFERED, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return;
    }
    // SAFETY: the exchange gave the content to this NMI.
    let content = unsafe { HAND_OVER.replace(Content::Nothing) };
    if let Content::Offer(order, registration) = content {
        let outcome = Content::Outcome(obey(order, registration));
        // SAFETY: it is still this NMI's.
        unsafe { HAND_OVER.replace(outcome) };
    }
    state.store(DONE, Ordering::Release);
}

fn obey(order: Order, registration: Registration) -> Outcome {
    /// Longer than any NMI should take; the refusal does not wait.
    const LIMIT_MS: u64 = 1_000;

    if order.what == What::RemoveAndWait {
        return Outcome::Answer(registration.remove_within_ms(LIMIT_MS));
    }
    let mut ticket = registration.try_remove();
    if order.what == What::TryRemoveAndUnmap {
        loader::unmap(order.first_page);
    }
    let over_at_once = ticket.is_over();
    Outcome::GivenUp { ticket, over_at_once }
}

/// A handler that the library asks before the module's.
pub(super) struct Remover;

// SAFETY: touches atomics in statics, and a content that no other context touches meanwhile;
// `try_remove` is NMI-safe, and a removal that would wait is refused.
unsafe impl NmiHandler for Remover {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        carry_out(By::Another, ctx);
        Claim::None
    }
}
