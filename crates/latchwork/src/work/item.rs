// SPDX-License-Identifier: MIT OR Apache-2.0
//! An item of deferred work: a function that can be queued.
//!
//! # The state of an item
//!
//! One word, and one swap to queue:
//!
//! ```text
//! Idle ──queue──► Queued, and the queuer puts it on a list
//!                   │  ▲
//!               run │  │ queue: nobody puts it on a list yet
//!                   ▼  │
//!                 Running ──end of the run──► Idle
//!                           or, if Queued by now: whoever ran it puts it on the list
//! ```
//!
//! So an item that is running is on no list, and one that is on a list is not running: it never
//! runs on two CPUs at once, and nobody waits for that. Exactly one context puts an item on a list:
//! the queuer whose swap found Idle, or the runner whose exchange found Queued.
//!
//! *Writers*: queuers (swap) in any context on any CPU; the CPU that runs the item (swap at the
//! beginning, exchange at the end). *Readers*: whoever waits for the item. Every write by a queuer
//! is Release, and the swap at the beginning of a run is Acquire: a run sees what its queuers
//! stored before, those included that were told that it was queued already. The exchange at the end
//! is Release, the swap of a queuer Acquire, and so is the load of a waiter: the next run, and
//! whoever has waited, see what the run did.

use core::fmt;

use crate::{
    primitive::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom},
    subsystem::Owner,
};

/// How soon an item is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// At once: the CPU that runs it gets an interrupt.
    Now = 0,
    /// At the CPU's next tick; at once where its tick is stopped.
    Lazy = 1,
}

/// A function that can be queued, from NMI context too, to run outside it.
///
/// It is a node of a list, so it is queued at most once at a time, needs no memory, and lives for
/// ever. Whoever takes its memory away all the same, such as a module's, has everybody stop
/// queueing it and then waits with [`Nmi::sync_work`](crate::Nmi::sync_work).
///
/// It belongs to the [`Nmi`](crate::Nmi) that queued it first; every other refuses it.
///
/// ```
/// use latchwork::*;
///
/// static PRINT: Work = Work::new(&print_what_handlers_left);
///
/// fn print_what_handlers_left(cpu: usize) { /* interrupts are off; locks may be taken */ }
///
/// fn in_a_handler<P: Platform>(nmi: &'static Nmi<P>) {
///     let _queued = nmi.queue(&PRINT, Urgency::Now);
/// }
/// ```
pub struct Work {
    /// The item behind this one on its list. Written by whoever puts this item on a list, before,
    /// and by whoever puts the next one behind it; read by whoever runs the list. See
    /// [`list`](super::list).
    pub(super) next: AtomicPtr<Work>,
    state: AtomicUsize,
    /// The subsystem that queued it first. Its state names a CPU of that one.
    pub(super) owner: Owner,
    function: unsafe fn(*const (), usize),
    data: *const (),
}

// SAFETY: `data` points to an `F: Sync` that lives for ever; everything else is atomic or never
// written.
unsafe impl Sync for Work {}
// SAFETY: as above.
unsafe impl Send for Work {}

/// What the state word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemState {
    Idle,
    Running,
    Queued(Place),
}

/// A list of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cpu: usize,
    pub(super) urgency: Urgency,
}

/// Who puts an item on its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// Who queued it.
    ByQueuer,
    /// Who is running it, at the end of that run.
    ByRunner,
    /// It is queued already.
    Before,
}

const IDLE: usize = 0;
const RUNNING: usize = 1;
const QUEUED: usize = 2;
const LAZY: usize = 4;
const CPU_SHIFT: u32 = 3;

impl ItemState {
    const fn from_word(word: usize) -> Self {
        if word & QUEUED != 0 {
            let urgency = if word & LAZY != 0 { Urgency::Lazy } else { Urgency::Now };
            Self::Queued(Place { cpu: word >> CPU_SHIFT, urgency })
        } else if word == RUNNING {
            Self::Running
        } else {
            Self::Idle
        }
    }
}

impl Place {
    const fn queued_word(self) -> usize {
        let urgency = match self.urgency {
            Urgency::Now => 0,
            Urgency::Lazy => LAZY,
        };
        QUEUED | urgency | self.cpu << CPU_SHIFT
    }
}

impl Work {
    const_unless_loom! {
        /// An item that calls `function` with the number of the CPU that runs it.
        ///
        /// `function` runs with interrupts off, outside NMIs, on one CPU at a time.
        #[must_use]
        pub fn new[F: Fn(usize) + Sync](function: &'static F) -> Self {
            Self {
                next: AtomicPtr::new(core::ptr::null_mut()),
                state: AtomicUsize::new(IDLE),
                owner: Owner::nobody(),
                function: call::<F>,
                data: core::ptr::from_ref(function).cast(),
            }
        }
    }

    /// Queuer. Any context.
    pub(super) fn claim(&self, place: Place) -> Claimed {
        match ItemState::from_word(self.state.swap(place.queued_word(), Ordering::AcqRel)) {
            ItemState::Idle => Claimed::ByQueuer,
            ItemState::Running => Claimed::ByRunner,
            ItemState::Queued(_) => Claimed::Before,
        }
    }

    /// Runner, who has taken the item off its list.
    pub(super) fn begin(&self) {
        self.state.swap(RUNNING, Ordering::Acquire);
    }

    pub(super) fn call(&self, cpu: usize) {
        // SAFETY: `new` made `function` for the `F` that `data` points to, which lives for ever.
        unsafe { (self.function)(self.data, cpu) };
    }

    /// Runner, after the call. Where the item was queued meanwhile, the caller puts it on that
    /// list; otherwise the runner touches the item no more.
    pub(super) fn end(&self) -> Option<Place> {
        let ended =
            self.state.compare_exchange(RUNNING, IDLE, Ordering::Release, Ordering::Relaxed);
        match ItemState::from_word(ended.err()?) {
            ItemState::Queued(place) => Some(place),
            ItemState::Idle | ItemState::Running => None,
        }
    }

    /// Whether the item is neither queued nor running. What its runs did happens before.
    /// **NMI-safe.**
    pub fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }
}

/// # Safety
///
/// `data` came from a `&'static F`.
unsafe fn call<F: Fn(usize)>(data: *const (), cpu: usize) {
    // SAFETY: the caller promises a pointer from a `&'static F`.
    let function = unsafe { &*data.cast::<F>() };
    function(cpu);
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = ItemState::from_word(self.state.load(Ordering::Relaxed));
        f.debug_struct("Work").field("state", &state).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::MAX_CPUS;

    #[test]
    fn the_state_word_tells_every_place_apart() {
        assert_eq!(ItemState::from_word(IDLE), ItemState::Idle);
        assert_eq!(ItemState::from_word(RUNNING), ItemState::Running);
        for cpu in [0, 1, 2, MAX_CPUS - 1] {
            for urgency in [Urgency::Now, Urgency::Lazy] {
                let place = Place { cpu, urgency };
                assert_eq!(ItemState::from_word(place.queued_word()), ItemState::Queued(place));
            }
        }
    }
}
