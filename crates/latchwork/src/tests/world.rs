// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine of threads: each test thread says which CPU it is.

use core::cell::Cell;
use std::{
    boxed::Box,
    sync::{Arc, Mutex},
    vec::Vec,
};

#[cfg(loom)]
use loom::{thread, thread_local};
#[cfg(not(loom))]
use std::{thread, thread_local};

use crate::{
    AbsorbedNmi, AfterLeave, Claim, Class, Doorbell, EdgeModel, Fatal, HandlerSpec, InterruptState,
    Interrupted, Mode, Nmi, NmiContext, NmiHandler, Outcome, PerCpu, Platform, Request, Requests,
    RingError, Storm, UnknownNmi,
    primitive::{
        AtomicBool, AtomicUsize, Counter, Ordering, SharedCell, checked::interrupt,
        const_unless_loom,
    },
    registry::Quiescence,
};

pub(super) const CPUS: usize = 2;
/// The most that a world can be [made](World::with_cpus) of.
const MOST_CPUS: usize = if cfg!(loom) { 3 } else { 80 };
/// At first: a tick is a microsecond.
pub(super) const TICKS_PER_MS: u64 = 1_000;

thread_local! {
    static CPU: Cell<Option<usize>> = Cell::from(Some(0));
    static INTERRUPTS_ARE_ON: Cell<bool> = Cell::from(true);
    static BEFORE_RING: Cell<Option<Box<dyn FnOnce()>>> = Cell::from(None);
}

/// From here on this thread is `cpu`.
pub(super) fn become_cpu(cpu: Option<usize>) {
    CPU.with(|this| this.set(cpu));
}

/// Holds up the next sender of this thread between its request and its ring, for as long as `deed`
/// takes.
#[cfg(not(loom))]
pub(super) fn before_next_ring(deed: impl FnOnce() + 'static) {
    BEFORE_RING.with(|next| next.set(Some(Box::new(deed))));
}

type OnServe = Box<dyn Fn(Requests) + Send>;
pub(super) type OnLeave = Arc<dyn Fn(AfterLeave) + Send + Sync>;

pub(super) struct TestPlatform {
    /// Advances by [`ticks_per_reading`](Self::ticks_per_reading) at each reading.
    pub(super) ticks: Counter,
    /// At first 1.
    pub(super) ticks_per_reading: Counter,
    pub(super) ticks_per_ms: Counter,
    /// Rings made, per CPU. Read together with the count of finished sends, so a loom atomic.
    pub(super) rung: [AtomicUsize; MOST_CPUS],
    /// Whether an interrupt for work is pending, per CPU.
    pub(super) work_interrupts: [AtomicBool; MOST_CPUS],
    pub(super) ring_fails: Mutex<Option<RingError>>,
    pub(super) served: Mutex<Vec<Requests>>,
    pub(super) unknowns: Mutex<Vec<UnknownNmi>>,
    pub(super) absorbed: Mutex<Vec<AbsorbedNmi>>,
    /// Whether each began, or ended.
    pub(super) storms: Mutex<Vec<(bool, Storm)>>,
    /// How often a tick was asked for.
    pub(super) ticks_wanted: Counter,
    pub(super) left: Mutex<Vec<(usize, AfterLeave, bool)>>,
    pub(super) on_serve: Mutex<Option<OnServe>>,
    pub(super) on_leave: Mutex<Option<OnLeave>>,
}

// SAFETY: every thread is the CPU that it says, the tests give no two threads the same one at once,
// and nothing here panics while a dispatch that must go on is underneath, but to fail the test.
unsafe impl Platform for TestPlatform {
    fn current_cpu(&self) -> Option<usize> {
        CPU.with(Cell::get)
    }
    fn now_ticks(&self) -> u64 {
        self.ticks.fetch_add(self.ticks_per_reading.load(Ordering::Relaxed), Ordering::Relaxed)
            as u64
    }
    fn ticks_per_ms(&self) -> u64 {
        self.ticks_per_ms.load(Ordering::Relaxed) as u64
    }
    fn ring(&self, cpu: usize) -> Result<(), RingError> {
        if let Some(deed) = BEFORE_RING.with(Cell::take) {
            deed();
        }
        if let Some(error) = *self.ring_fails.lock().unwrap() {
            return Err(error);
        }
        self.rung[cpu].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn disable_interrupts(&self) -> InterruptState {
        InterruptState(usize::from(INTERRUPTS_ARE_ON.with(|on| on.replace(false))))
    }
    unsafe fn restore_interrupts(&self, state: InterruptState) {
        INTERRUPTS_ARE_ON.with(|on| on.set(state.0 != 0));
    }
    fn relax(&self) {
        assert!(!interrupt::inside(), "an NMI waits for what it interrupted");
        thread::yield_now();
    }
    fn serve(&self, _: &NmiContext<'_>, requests: Requests) {
        self.served.lock().unwrap().push(requests);
        if let Some(on_serve) = &*self.on_serve.lock().unwrap() {
            on_serve(requests);
        }
    }
    fn report_unknown(&self, report: &UnknownNmi) {
        self.unknowns.lock().unwrap().push(*report);
    }
    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave) {
        let outside = ctx.area.own.read.observe().is_outside();
        self.left.lock().unwrap().push((ctx.cpu(), due, outside));
        let on_leave = self.on_leave.lock().unwrap().clone();
        if let Some(on_leave) = on_leave {
            on_leave(due);
        }
    }
    fn fatal(&self, error: Fatal) -> ! {
        panic!("fatal: {error}");
    }
    fn interrupt_for_work(&self, cpu: usize) {
        self.work_interrupts[cpu].swap(true, Ordering::AcqRel);
    }
    fn interrupts_are_on(&self) -> bool {
        INTERRUPTS_ARE_ON.with(Cell::get)
    }
    fn restart_tick(&self) {
        self.ticks_wanted.fetch_add(1, Ordering::Relaxed);
    }
    fn report_absorbed(&self, report: &AbsorbedNmi) {
        self.absorbed.lock().unwrap().push(*report);
    }
    fn storm_began(&self, storm: &Storm) {
        self.storms.lock().unwrap().push((true, *storm));
    }
    fn storm_ended(&self, storm: &Storm) {
        self.storms.lock().unwrap().push((false, *storm));
    }
}

/// A machine, and the memory behind its `'static` references, freed when it is dropped.
pub(super) struct World {
    pub(super) nmi: &'static Nmi<TestPlatform>,
    pub(super) cpus: &'static [PerCpu],
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_cpus(CPUS)
    }

    pub(super) fn with_cpus(cpus: usize) -> Self {
        let world = Self::not_initialised(cpus);
        world.nmi.init(world.cpus).unwrap();
        world.cpus.iter().for_each(|area| area.presence().come_back());
        world
    }

    pub(super) fn before_init() -> Self {
        Self::not_initialised(CPUS)
    }

    fn not_initialised(cpus: usize) -> Self {
        become_cpu(Some(0));
        let platform = TestPlatform {
            ticks: Counter::new(0),
            ticks_per_reading: Counter::new(1),
            ticks_per_ms: Counter::new(TICKS_PER_MS as usize),
            rung: core::array::from_fn(|_| AtomicUsize::new(0)),
            work_interrupts: core::array::from_fn(|_| AtomicBool::new(false)),
            ring_fails: Mutex::new(None),
            served: Mutex::new(Vec::new()),
            unknowns: Mutex::new(Vec::new()),
            absorbed: Mutex::new(Vec::new()),
            storms: Mutex::new(Vec::new()),
            ticks_wanted: Counter::new(0),
            left: Mutex::new(Vec::new()),
            on_serve: Mutex::new(None),
            on_leave: Mutex::new(None),
        };
        let cpus: Vec<PerCpu> = (0..cpus).map(|_| PerCpu::new()).collect();
        Self { nmi: Box::leak(Box::new(Nmi::new(platform))), cpus: Vec::leak(cpus) }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: from `Box::leak` in `before_init`; the tests join their threads first.
        drop(unsafe { Box::from_raw(core::ptr::from_ref(self.nmi).cast_mut()) });
        // SAFETY: from `Vec::leak` in `before_init`; likewise.
        drop(unsafe { Box::from_raw(core::ptr::from_ref(self.cpus).cast_mut()) });
    }
}

/// An NMI on the CPU that this thread is.
pub(super) fn take_nmi(nmi: &'static Nmi<TestPlatform>) -> Outcome {
    let interrupted = Interrupted {
        ip: 0x1000,
        sp: 0x2000,
        fp: 0x3000,
        mode: Mode::Kernel,
        frame: core::ptr::null(),
        sources: None,
    };
    // SAFETY: the thread plays a CPU in NMI context; no handler here looks at the frame.
    unsafe { nmi.dispatch(&interrupted) }
}

/// The interrupt for work on the CPU that this thread is, if it is pending. Returns how many items
/// ran.
pub(super) fn take_work_interrupt(nmi: &'static Nmi<TestPlatform>) -> usize {
    let this_cpu = nmi.platform.current_cpu().unwrap();
    match nmi.platform.work_interrupts[this_cpu].swap(false, Ordering::AcqRel) {
        true => nmi.run_work(),
        false => 0,
    }
}

/// Plays the CPUs one after the other until no interrupt for work is pending on any. Whatever was
/// queued to run at once must have run then.
pub(super) fn take_all_work_interrupts(nmi: &'static Nmi<TestPlatform>) {
    let pending = |cpu: &usize| nmi.platform.work_interrupts[*cpu].load(Ordering::Acquire);
    while let Some(cpu) = (0..CPUS).find(pending) {
        become_cpu(Some(cpu));
        take_work_interrupt(nmi);
    }
}

/// A spec of the given class that conflicts with no other.
pub(super) fn spec(name: &str, class: Class) -> HandlerSpec<'_> {
    HandlerSpec::new(name, class, Doorbell::Local(4), EdgeModel::PerCondition)
}

/// A handler with state that must not be touched after its removal: a call then is a data race for
/// loom, and a wrong value for the other tests.
pub(super) struct Victim {
    state: SharedCell<u32>,
    calls: Counter,
    claim: Claim,
    inside: Option<&'static Nmi<TestPlatform>>,
}

// SAFETY: `state` is written only when no dispatch may read it any more; showing that is the test.
unsafe impl Sync for Victim {}
// SAFETY: as above.
unsafe impl Send for Victim {}

const ALIVE: u32 = 0xA11E;
const POISONED: u32 = 0xDEAD;

impl Victim {
    const_unless_loom! {
        pub(super) fn new(claim: Claim) -> Self {
            Self { state: SharedCell::new(ALIVE), calls: Counter::new(0), claim, inside: None }
        }
    }

    /// A victim that checks, each time it is asked, that a remover would wait for its CPU.
    #[cfg(not(loom))]
    pub(super) fn announced(nmi: &'static Nmi<TestPlatform>) -> Self {
        Self { inside: Some(nmi), ..Self::new(Claim::Handled) }
    }

    /// What the memory's next owner would do.
    pub(super) fn poison(&self) {
        self.state.with_mut(|state| {
            // SAFETY: the caller holds that no dispatch is inside; if not so, the test fails.
            unsafe { *state = POISONED };
        });
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for Victim {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        // SAFETY: nobody writes while a dispatch is inside; if not so, the test fails.
        let state = self.state.with(|state| unsafe { *state });
        assert_eq!(state, ALIVE, "called after its removal");
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(nmi) = self.inside {
            let waits_for = Quiescence::begin().advance(nmi.core.cpus());
            assert_eq!(waits_for, Err(ctx.cpu()), "a remover would not wait for this CPU");
        }
        self.claim
    }
}

/// A handler in which its CPU is stopped for ever. It unwinds out of the dispatch, which thereby
/// stays where it was: announced, in its NMI, and at the Platform handlers if it is one.
pub(super) struct Stops {
    state: SharedCell<u32>,
}

/// What [`Stops`] unwinds with.
struct Stopped;

// SAFETY: `state` is written only when no dispatch may read it any more; showing that is the test.
unsafe impl Sync for Stops {}
// SAFETY: as above.
unsafe impl Send for Stops {}

impl Stops {
    pub(super) fn new() -> Self {
        Self { state: SharedCell::new(ALIVE) }
    }

    /// What the memory's next owner would do.
    pub(super) fn poison(&self) {
        self.state.with_mut(|state| {
            // SAFETY: the caller holds that no dispatch is inside; if not so, the test fails.
            unsafe { *state = POISONED };
        });
    }
}

// SAFETY: it blocks nowhere and is `Sync` by the test's claim. It unwinds, in place of a CPU that
// stops: nothing of the dispatch goes on, and no destructor of it does anything.
unsafe impl NmiHandler for Stops {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        // SAFETY: nobody writes while a dispatch is inside; if not so, the test fails.
        let state = self.state.with(|state| unsafe { *state });
        assert_eq!(state, ALIVE, "called after its removal");
        std::panic::resume_unwind(Box::new(Stopped))
    }
}

/// An NMI on the CPU that this thread is, in which a [`Stops`] stops that CPU.
pub(super) fn take_nmi_and_stop(nmi: &'static Nmi<TestPlatform>) {
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take_nmi(nmi)));
    assert!(stopped.is_err_and(|what| what.is::<Stopped>()), "it was not stopped");
}

/// Leaks a value for a test whose threads need it `'static`, and frees it with the returned owner.
pub(super) struct Leaked<T: 'static>(pub(super) &'static T);

impl<T> Leaked<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Box::leak(Box::new(value)))
    }
}

impl<T> Drop for Leaked<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: from `Box::leak` in `new`; the tests join their threads first.
            drop(unsafe { Box::from_raw(core::ptr::from_ref(self.0).cast_mut()) });
        }
    }
}

/// The requests of one kind that [`Platform::serve`] saw.
pub(super) fn served(nmi: &Nmi<TestPlatform>, request: Request) -> usize {
    nmi.platform.served.lock().unwrap().iter().map(|taken| taken.count(request)).sum()
}

/// Lets the thread act, inside an NMI, as it would have acted before that NMI came, until the
/// result is dropped.
#[cfg(not(loom))]
pub(super) fn step_outside(nmi: &'static Nmi<TestPlatform>) -> impl Drop {
    struct Back(&'static PerCpu);
    impl Drop for Back {
        fn drop(&mut self) {
            self.0.own.read.enter();
            self.0.own.set_nmis_in_progress(1);
        }
    }
    let area = &nmi.core.cpus()[0];
    area.own.read.leave();
    area.own.set_nmis_in_progress(0);
    Back(area)
}

/// Another CPU claims the condition of Platform slot 0, in a poll that the test makes.
#[cfg(not(loom))]
pub(crate) fn publish_claim(nmi: &'static Nmi<TestPlatform>) {
    let slot = nmi.core.registry.slot(crate::contract::Class::Platform, 0).unwrap();
    nmi.publish_claim(slot, 0, None);
}

/// CPU 1 posts a request to CPU 0, and does not ring.
#[cfg(not(loom))]
pub(crate) fn begin_send(nmi: &'static Nmi<TestPlatform>) {
    let cpus = nmi.core.cpus();
    cpus[1].own.sending.begin();
    cpus[0].senders.mailbox.post(Request::Call).unwrap();
}

/// CPU 1 has rung, in the send that it began. Sends of its own that nest end with the lowest.
#[cfg(not(loom))]
pub(crate) fn finish_send(nmi: &'static Nmi<TestPlatform>) {
    let cpus = nmi.core.cpus();
    cpus[0].senders.mailbox.finish();
    cpus[1].own.sending.end();
}
