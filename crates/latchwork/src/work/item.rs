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
//!               run │  │ queue: it goes on no list yet
//!                   ▼  │
//!                 Running ──end of the run──► Idle
//!                           or, if Queued by now: the CPU that ran it puts it on the list
//! ```
//!
//! So an item that is running is on no list, and one that is on a list is not running: it never
//! runs on two CPUs at the same time, and no CPU waits for that. Exactly one context puts an item
//! on a list: the queuer whose swap found Idle, or the runner whose exchange found Queued.
//!
//! *Writers*: queuers (swap) in any context on any CPU; the CPU that runs the item (swap at the
//! beginning, exchange at the end). *Readers*: threads that wait for the item.
//!
//! * Every write by a queuer is Release, and the swap at the beginning of a run is Acquire. So a
//!   run sees what its queuers stored before, including queuers that found the item queued already.
//! * The exchange at the end is Release; the swap of a queuer is Acquire, and so is the load of a
//!   waiter. So the next run, and a thread that has waited, see what the run did.

use core::fmt;

use crate::{
    primitive::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom},
    subsystem::Owner,
};

/// How soon an item runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// Immediately: the CPU that runs it gets an interrupt.
    Now = 0,
    /// At the CPU's next tick; immediately if its tick is stopped.
    Lazy = 1,
}

/// An item of deferred work: a function that any context can queue, NMIs included, and that runs
/// outside NMIs.
///
/// An item is a node of a list, so it is queued at most once at a time, needs no memory, and lives
/// for ever. If you take its memory away all the same, such as a module's, first stop everything
/// that queues it, and then wait with [`Nmi::sync_work`](crate::Nmi::sync_work).
///
/// It belongs to the [`Nmi`](crate::Nmi) that queued it first; every other refuses it.
///
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/kernel.rs")); }
/// # use kernel::{Kernel, interrupted};
/// # use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
/// use latchwork::*;
/// # static CPUS: [PerCpu; 4] = [const { PerCpu::new() }; 4];
/// # static NMI: Nmi<Kernel> = Nmi::new(Kernel);
/// # static PRINTED: AtomicUsize = AtomicUsize::new(0);
///
/// static PRINT: Work = Work::new(&print_samples);
///
/// /// Runs on `cpu` with interrupts off, outside NMIs: it may take locks.
/// fn print_samples(cpu: usize) {
///     println!("samples of CPU {cpu}");
/// #     PRINTED.fetch_add(1, Relaxed);
/// }
///
/// struct Profiler;
///
/// // SAFETY: it takes no lock, allocates nothing and waits for nothing.
/// unsafe impl NmiHandler for Profiler {
///     fn handle(&self, _: &NmiContext<'_>) -> Claim {
///         let _newly = NMI.queue(&PRINT, Urgency::Now);
///         Claim::Handled
///     }
/// }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # NMI.init(&CPUS)?;
/// # let spec = HandlerSpec::new("pmu", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
/// # let profiler = NMI.register(&spec, &Profiler)?;
/// # unsafe { NMI.dispatch(&interrupted()) };
/// # assert!(!PRINT.is_idle());
///
/// // The kernel calls it from the interrupt that `Platform::interrupt_for_work` raises:
/// NMI.run_work();
/// # assert_eq!(PRINTED.load(Relaxed), 1);
/// # assert!(PRINT.is_idle());
/// # profiler.remove()?;
/// # Ok(()) }
/// ```
pub struct Work {
    /// The item behind this one on its list. The context that puts this item on a list writes it
    /// before, and the context that puts the next item behind this one; the CPU that runs the list
    /// reads it. See [`list`](super::list).
    pub(super) next: AtomicPtr<Work>,
    state: AtomicUsize,
    /// The subsystem that queued the item first. The item's state names a CPU of that subsystem.
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

/// A list of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cpu: usize,
    pub(super) urgency: Urgency,
}

/// Which context puts an item on its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// The context that queued it.
    ByQueuer,
    /// The CPU that runs it, at the end of that run.
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

    /// Runner, after the call. If the item was queued meanwhile, the caller puts it on that list;
    /// otherwise the runner touches the item no more.
    pub(super) fn end(&self) -> Option<Place> {
        let ended =
            self.state.compare_exchange(RUNNING, IDLE, Ordering::Release, Ordering::Relaxed);
        match ItemState::from_word(ended.err()?) {
            ItemState::Queued(place) => Some(place),
            ItemState::Idle | ItemState::Running => None,
        }
    }

    /// Whether the item is neither queued nor running. What its runs did happens before this
    /// returns true. **NMI-safe.**
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
