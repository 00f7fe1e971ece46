// SPDX-License-Identifier: MIT OR Apache-2.0
//! A slot: one registered handler, as dispatch reads it and as writers keep its records.
//!
//! # Life of a slot
//!
//! ```text
//! Free ──register──► Live ──remove───────► Removing ──quiescence──► Free
//!                     │ ▲                     │
//!                     │ └──deadline passed────┘
//!                     └─try_remove─► (dead) ──next writer──► Draining ──quiescence──► Free
//! ```
//!
//! Each time the slot becomes Free its generation grows by one.
//!
//! # Who writes what
//!
//! A writer stores `function` and `data` while the slot is Free, when no dispatch can reach it; the
//! order word's Release publishes them. Only `try_remove` writes to a Live slot: it stores a no-op
//! into `function`, so that `data` never goes with a function that it was not made for, and sets
//! `dead`. `record` belongs to the holder of the writer lock.
//!
//! `given_up` says who may remove the handler: if false, the one guard; if true, the thread that
//! first turns a handle into a guard. The owner of the guard sets it, in any context, by a Release
//! store. A thread that wants a guard swaps it, Acquire. Only one swap finds it set, so there is
//! one guard at most, and what the former owner did happens before what the next one does.
//! `register` resets it under the writer lock, before the registration has an owner.

use super::quiescence::Quiescence;
use crate::{
    contract::{
        Claim, Doorbell, EdgeModel, HandlerSpec, Name, NmiContext, NmiHandler, PlatformDelivery,
    },
    grant::{PublishedClaims, SlotDoorbell},
    primitive::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, SharedCell, const_unless_loom},
    stats::StormLimit,
};

type Function = unsafe fn(*const (), &NmiContext<'_>) -> Claim;

#[derive(Debug)]
pub(crate) struct Slot {
    function: AtomicPtr<()>,
    data: AtomicPtr<()>,
    dead: AtomicBool,
    given_up: AtomicBool,
    /// How often the slot has been freed. Written under the writer lock, read from anywhere.
    generation: AtomicUsize,
    pub(crate) doorbell: SlotDoorbell,
    pub(crate) storm_above: StormLimit,
    /// Only Platform slots use it.
    pub(crate) published: PublishedClaims,
    pub(crate) record: SharedCell<SlotRecord>,
}

// SAFETY: `data` points to a `NmiHandler`, which is `Sync`; `record` is accessed by the holder of
// the writer lock only; everything else is atomic.
unsafe impl Sync for Slot {}

/// What writers know of a slot.
#[derive(Debug)]
pub(crate) struct SlotRecord {
    pub(crate) state: SlotState,
    pub(crate) name: Name,
    pub(crate) doorbell: Doorbell,
    pub(crate) edges: EdgeModel,
    pub(crate) rank: Rank,
    pub(crate) route: Route,
}

/// Where a Platform doorbell rings, as writers remember it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    All,
    Bsp,
    /// To the CPUs whose own bits say so.
    Cpus,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum SlotState {
    Free,
    Live,
    /// A `remove` waits for it.
    Removing,
    /// A `try_remove` gave it up; the next writer goes on waiting.
    Draining(Quiescence),
}

/// Where in the order of its class a handler stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) priority: u8,
    pub(crate) registered: usize,
}

/// A handler behind a thin pointer: the address, and the function that knows its type.
#[derive(Clone, Copy)]
pub(crate) struct ErasedHandler {
    function: Function,
    data: *const (),
}

impl ErasedHandler {
    pub(crate) fn new<H: NmiHandler>(handler: &H) -> Self {
        Self { function: call::<H>, data: core::ptr::from_ref(handler).cast() }
    }
}

/// # Safety
///
/// `data` came from a `&H` that is still valid.
unsafe fn call<H: NmiHandler>(data: *const (), ctx: &NmiContext<'_>) -> Claim {
    #[cfg(test)]
    assert!(!data.is_null(), "a dispatch found half a handler");
    // SAFETY: the caller promises a pointer from a `&H` that is still valid.
    let handler = unsafe { &*data.cast::<H>() };
    handler.handle(ctx)
}

/// Runs in place of a handler that `try_remove` took out.
unsafe fn no_op(_: *const (), _: &NmiContext<'_>) -> Claim {
    Claim::None
}

const NO_OP: Function = no_op;

impl Slot {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                function: AtomicPtr::new(NO_OP as *mut ()),
                data: AtomicPtr::new(core::ptr::null_mut()),
                dead: AtomicBool::new(false),
                given_up: AtomicBool::new(false),
                generation: AtomicUsize::new(0),
                doorbell: SlotDoorbell::new(),
                storm_above: StormLimit::new(),
                published: PublishedClaims::new(),
                record: SharedCell::new(SlotRecord {
                    state: SlotState::Free,
                    name: Name::EMPTY,
                    doorbell: Doorbell::Software,
                    edges: EdgeModel::PerCondition,
                    rank: Rank { priority: 0, registered: 0 },
                    route: Route::All,
                }),
            }
        }
    }

    /// Asks the handler.
    ///
    /// # Safety
    ///
    /// The calling CPU entered the read side *before* it loaded the order in which it found this
    /// slot, and is still inside.
    #[inline(always)]
    pub(crate) unsafe fn ask(&self, ctx: &NmiContext<'_>) -> Claim {
        let function = self.function.load(Ordering::Relaxed);
        let data = self.data.load(Ordering::Relaxed);
        // SAFETY: only `Function`s are ever stored in `function`.
        let function = unsafe { core::mem::transmute::<*mut (), Function>(function) };
        // SAFETY: by this function's contract no removal of this slot has returned since the order
        // was loaded, so `data` is the handler that `function` was made for, and it is still valid;
        // or `function` is the no-op, which looks at nothing.
        unsafe { function(data, ctx) }
    }

    /// Fills a Free slot. The caller holds the writer lock and publishes afterwards.
    pub(crate) fn fill(&self, handler: ErasedHandler) {
        self.given_up.store(false, Ordering::Relaxed);
        self.data.store(handler.data.cast_mut(), Ordering::Relaxed);
        self.function.store(handler.function as *mut (), Ordering::Relaxed);
    }

    /// Makes the handler unreachable without the writer lock. Any context, by the handler's owner.
    ///
    /// `dead` is Release so that the writer that sees it also sees the no-op, and does not publish
    /// the handler anew.
    pub(crate) fn kill(&self) {
        self.function.store(NO_OP as *mut (), Ordering::Relaxed);
        self.dead.store(true, Ordering::Release);
    }

    /// Whether the handler's owner has killed it.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Leaves the handler to the thread that turns its handle into a guard. Any context, by the
    /// handler's owner.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Makes the caller the handler's owner, if it has none. The caller holds the writer lock, so
    /// no writer frees the slot and uses it again between the caller's look at the generation and
    /// this one.
    pub(crate) fn take_over(&self) -> bool {
        self.given_up.swap(false, Ordering::Acquire)
    }

    /// Makes the slot free for the next handler. The caller holds the writer lock, and quiescence
    /// is reached. From here on every handle to the former handler is stale.
    pub(crate) fn free(&self, record: &mut SlotRecord) {
        self.dead.store(false, Ordering::Relaxed);
        let generation = self.generation.load(Ordering::Relaxed);
        self.generation.store(generation.wrapping_add(1), Ordering::Release);
        record.state = SlotState::Free;
    }

    pub(crate) fn generation(&self) -> usize {
        self.generation.load(Ordering::Acquire)
    }
}

impl Route {
    pub(crate) const fn of(delivery: PlatformDelivery<'_>) -> Self {
        match delivery {
            PlatformDelivery::All => Self::All,
            PlatformDelivery::Bsp => Self::Bsp,
            PlatformDelivery::Cpus(_) => Self::Cpus,
        }
    }
}

impl SlotRecord {
    pub(crate) fn set_live(&mut self, spec: &HandlerSpec<'_>, name: Name, rank: Rank) {
        self.state = SlotState::Live;
        self.name = name;
        self.doorbell = spec.doorbell;
        self.edges = spec.edges;
        self.rank = rank;
        self.route = Route::of(spec.delivery);
    }

    /// Whether the slot holds a handler, on its way out or not.
    pub(crate) fn is_taken(&self) -> bool {
        !matches!(self.state, SlotState::Free)
    }
}
