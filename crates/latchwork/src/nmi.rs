// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subsystem as a kernel holds it, one `static`, and the state in it that all CPUs share.

use core::{error::Error, fmt};

use crate::{
    contract::{HandlerId, InDispatch, InterruptState, MAX_CPUS, Platform, UnknownPolicy},
    cpu::PerCpu,
    dispatch::PanicElection,
    primitive::{AtomicBool, AtomicPtr, AtomicUsize, Counter, Ordering, const_unless_loom},
    recovery::RecoveryState,
    registry::{Registry, Slot},
    subsystem::SubsystemId,
    time::{InTicks, Timestamp},
};

/// The NMI subsystem of a kernel whose services are `P`. A kernel has one, in a `static`.
///
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/kernel.rs")); }
/// # use kernel::{Kernel, interrupted};
/// use latchwork::*;
///
/// static CPUS: [PerCpu; 4] = [const { PerCpu::new() }; 4];
/// static NMI: Nmi<Kernel> = Nmi::new(Kernel); // `Kernel` implements `Platform`
///
/// struct Watchdog;
///
/// // SAFETY: it takes no lock, allocates nothing and waits for nothing.
/// unsafe impl NmiHandler for Watchdog {
///     fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
///         if has_expired(ctx.cpu()) { Claim::Handled } else { Claim::None }
///     }
/// }
///
/// /// The NMI entry code calls it, with what the CPU and the entry saved.
/// fn on_nmi(interrupted: &Interrupted) -> Outcome {
///     // SAFETY: this CPU is in an NMI until this returns, and the frame is the entry's.
///     unsafe { NMI.dispatch(interrupted) }
/// }
///
/// # fn has_expired(_: usize) -> bool { true }
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     NMI.init(&CPUS)?;
///     let spec =
///         HandlerSpec::new("watchdog", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
///     let watchdog = NMI.register(&spec, &Watchdog)?;
///     assert_eq!(on_nmi(&interrupted()), Outcome::Claimed);
///
///     watchdog.remove()?; // no CPU runs the handler now, nor ever will
///     assert_eq!(on_nmi(&interrupted()), Outcome::Unknown);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Nmi<P> {
    pub(crate) core: Core,
    pub(crate) platform: P,
}

impl<P: Platform> Nmi<P> {
    const_unless_loom! {
        /// A subsystem without CPUs or handlers. It counts NMIs that arrive now as [too
        /// early](Self::too_early) and otherwise ignores them.
        #[must_use]
        pub fn new(platform: P) -> Self {
            Self { core: Core::new(), platform }
        }
    }

    /// Gives the subsystem its per-CPU areas, one for each number that [`Platform::current_cpu`]
    /// can return. Call it once, from ordinary context, before anything is registered. CPUs that
    /// are not running cost nothing. The calling CPU is online from then on; every other one is not
    /// until it [comes online](Self::come_online).
    ///
    /// From then on the areas are this subsystem's, for ever: no other subsystem takes one of them.
    ///
    /// # Errors
    ///
    /// See [`InitError`]; nothing has changed then, and the areas are as free as before.
    pub fn init(&'static self, cpus: &'static [PerCpu]) -> Result<(), InitError> {
        self.core.init(cpus)?;
        // Nothing is registered yet, so no poll is owed.
        let _ = self.on_this_cpu(|_, area| area.presence().come_back());
        Ok(())
    }

    /// The kernel's services.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// Whether this CPU is in an NMI, also while it parks or debugs there. **NMI-safe.**
    ///
    /// Ask with interrupts off, or the thread may have moved to another CPU since.
    pub fn in_nmi(&self) -> bool {
        let area = self.platform.current_cpu().and_then(|cpu| self.core.cpus().get(cpu));
        area.is_some_and(|area| area.own.nmis_in_progress() != 0)
    }

    /// Sets what the library does about NMIs that nothing explains; until then it is
    /// [`UnknownPolicy::Report`].
    pub fn set_unknown_policy(&self, policy: UnknownPolicy) {
        self.core.set_policy(policy);
    }

    /// How many NMIs arrived before [`init`](Self::init), or before their CPU had per-CPU data.
    pub fn too_early(&self) -> usize {
        self.core.too_early.load(Ordering::Relaxed)
    }

    /// Calls `act` with this CPU's number and area, with interrupts off, so that the thread stays
    /// on this CPU.
    ///
    /// # Errors
    ///
    /// This CPU's number, if it has one, where it has no area.
    pub(crate) fn on_this_cpu<R>(
        &self,
        act: impl FnOnce(usize, &PerCpu) -> R,
    ) -> Result<R, Option<usize>> {
        let interrupts = self.platform.disable_interrupts();
        let _until_here = InterruptsOff { platform: &self.platform, interrupts };
        let this_cpu = self.platform.current_cpu();
        let area = this_cpu.and_then(|cpu| Some((cpu, self.core.cpus().get(cpu)?)));
        match area {
            Some((cpu, area)) => Ok(act(cpu, area)),
            None => Err(this_cpu),
        }
    }

    pub(crate) fn limits(&self) -> InTicks<'_> {
        self.core.recovery.limits.in_ticks(self.platform.ticks_per_ms())
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_ticks(self.platform.now_ticks())
    }

    pub(crate) fn core_and_platform(&'static self) -> (&'static Core, &'static dyn Platform) {
        (&self.core, &self.platform)
    }
}

/// Restores the interrupts when it is dropped, also where what it encloses unwinds.
struct InterruptsOff<'p, P: Platform> {
    platform: &'p P,
    interrupts: InterruptState,
}

impl<P: Platform> Drop for InterruptsOff<'_, P> {
    fn drop(&mut self) {
        // SAFETY: from the `disable_interrupts` of the code that made this, on the same CPU since
        // interrupts were off.
        unsafe { self.platform.restore_interrupts(self.interrupts) };
    }
}

/// `init` has not succeeded, and no CPU is in it.
const NOT_INITIALISED: usize = 0;
/// A CPU is in `init`.
const UNDER_WAY: usize = 1;
/// `init` has succeeded.
const INITIALISED: usize = 2;

/// The part of [`Nmi`] that does not depend on the platform's type, so that guards and tickets need
/// not either.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) registry: Registry,
    pub(crate) recovery: RecoveryState,
    /// Which CPU plays the boot CPU's role. Written and read under the writer lock.
    pub(crate) boot_cpu: Counter,
    /// Where the per-CPU areas begin; null before `init`. Written once, Release, after `cpu_count`;
    /// read with Acquire.
    cpus: AtomicPtr<PerCpu>,
    cpu_count: AtomicUsize,
    /// How far [`init`](Self::init) is. Its callers write it: one exchange lets one of them in, and
    /// that one stores how it ended.
    init_state: AtomicUsize,
    /// NMIs whose CPU had no area. Any CPU adds to it; the library decides nothing by it.
    pub(crate) too_early: AtomicUsize,
    /// Written from ordinary context, read on an unknown NMI; a stale value is the policy of a
    /// moment ago.
    policy: AtomicUsize,
    pub(crate) panic: PanicElection,
    /// A CPU that is offline may have items on its lists, or have made the debt. A CPU that put an
    /// item there, or that took the other CPU offline, sets it, Release. A CPU that then looks at
    /// the lists of all CPUs that are offline takes it, Acquire. A look that misses it is made up
    /// for at the next tick. If a CPU sets it and then raises an interrupt, the look in that
    /// interrupt finds it.
    something_is_left: AtomicBool,
}

impl Core {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                registry: Registry::new(),
                recovery: RecoveryState::new(),
                boot_cpu: Counter::new(0),
                cpus: AtomicPtr::new(core::ptr::null_mut()),
                cpu_count: AtomicUsize::new(0),
                init_state: AtomicUsize::new(NOT_INITIALISED),
                too_early: AtomicUsize::new(0),
                policy: AtomicUsize::new(UnknownPolicy::Report as usize),
                panic: PanicElection::new(),
                something_is_left: AtomicBool::new(false),
            }
        }
    }

    pub(crate) fn init(&self, cpus: &'static [PerCpu]) -> Result<(), InitError> {
        match cpus.len() {
            0 => return Err(InitError::NoCpus),
            given if given > MAX_CPUS => return Err(InitError::TooManyCpus { given }),
            _ => {}
        }
        self.init_state
            .compare_exchange(NOT_INITIALISED, UNDER_WAY, Ordering::Relaxed, Ordering::Relaxed)
            .map_err(|state| match state {
                UNDER_WAY => InitError::UnderWay,
                _ => InitError::AlreadyInitialised,
            })?;
        if let Err(index) = self.claim_areas(cpus) {
            self.init_state.store(NOT_INITIALISED, Ordering::Relaxed);
            return Err(InitError::AreaTaken { index });
        }
        self.cpu_count.store(cpus.len(), Ordering::Relaxed);
        self.cpus.store(cpus.as_ptr().cast_mut(), Ordering::Release);
        self.init_state.store(INITIALISED, Ordering::Relaxed);
        Ok(())
    }

    /// Makes all areas those of this subsystem, or none of them.
    ///
    /// # Errors
    ///
    /// The index of the first area that belongs to a subsystem already.
    fn claim_areas(&self, cpus: &[PerCpu]) -> Result<(), usize> {
        let id = self.id();
        let Some(taken) = cpus.iter().position(|area| !area.senders.owner.claim(id)) else {
            return Ok(());
        };
        for area in cpus.iter().take(taken) {
            area.senders.owner.give_up();
        }
        Err(taken)
    }

    /// The slot that `id` names, unless `id` is stale. NMI-safe.
    pub(crate) fn slot_of(&self, id: HandlerId) -> Option<&Slot> {
        let slot = self.registry.slot(id.class, id.slot).filter(|_| id.subsystem == self.id())?;
        (slot.generation() == id.generation).then_some(slot)
    }

    /// Which subsystem this is.
    pub(crate) fn id(&self) -> SubsystemId {
        SubsystemId::at(self)
    }

    /// The per-CPU areas; none before `init`.
    #[inline(always)]
    pub(crate) fn cpus(&self) -> &'static [PerCpu] {
        let first = self.cpus.load(Ordering::Acquire);
        if first.is_null() {
            return &[];
        }
        let count = self.cpu_count.load(Ordering::Relaxed);
        // SAFETY: pointer and length are of the `&'static [PerCpu]` that `init` was given: the
        // Acquire load that saw the pointer also sees the length, and neither is written again.
        unsafe { core::slice::from_raw_parts(first, count) }
    }

    pub(crate) fn is_initialised(&self) -> bool {
        !self.cpus().is_empty()
    }

    /// Refuses a call that would make this CPU wait for itself. Interrupts are off while it looks,
    /// so that the thread does not move to another CPU between asking for its number and reading
    /// the word.
    pub(crate) fn refuse_in_dispatch(&self, platform: &dyn Platform) -> Result<(), InDispatch> {
        let interrupts = platform.disable_interrupts();
        let cpu = platform.current_cpu();
        let area = cpu.and_then(|cpu| Some((cpu, self.cpus().get(cpu)?)));
        let refused = area.filter(|(_, area)| area.is_in_dispatch());
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { platform.restore_interrupts(interrupts) };
        match refused {
            Some((cpu, _)) => Err(InDispatch { cpu }),
            None => Ok(()),
        }
    }

    pub(crate) fn boot_cpu(&self) -> usize {
        self.boot_cpu.load(Ordering::Relaxed)
    }

    /// Notes that a CPU that is offline may have left an item on a list, or a debt. Any context.
    pub(crate) fn mark_something_left(&self) {
        self.something_is_left.store(true, Ordering::Release);
    }

    /// Whether a CPU must look at what the CPUs that are offline have left. If so, it is the
    /// caller.
    pub(crate) fn take_what_is_left(&self) -> bool {
        self.something_is_left() && self.something_is_left.swap(false, Ordering::Acquire)
    }

    pub(crate) fn something_is_left(&self) -> bool {
        self.something_is_left.load(Ordering::Relaxed)
    }

    pub(crate) fn set_policy(&self, policy: UnknownPolicy) {
        self.policy.store(policy as usize, Ordering::Relaxed);
    }

    pub(crate) fn policy(&self) -> UnknownPolicy {
        if self.policy.load(Ordering::Relaxed) == UnknownPolicy::Panic as usize {
            UnknownPolicy::Panic
        } else {
            UnknownPolicy::Report
        }
    }
}

/// [`Nmi::init`](crate::Nmi::init) was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitError {
    /// An earlier call has succeeded; its slice stays in use.
    AlreadyInitialised,
    /// Another call is under way, on another CPU or underneath this one. If that one fails, this
    /// one may succeed later.
    UnderWay,
    /// An area belongs to another subsystem, or another subsystem's `init` has just claimed it. Two
    /// subsystems on one area would undo each other's bookkeeping, and a removal could return while
    /// its handler runs.
    AreaTaken {
        /// The index of the first such area in the slice.
        index: usize,
    },
    /// The slice is empty.
    NoCpus,
    /// The slice is longer than [`MAX_CPUS`].
    TooManyCpus {
        /// How many areas the slice holds.
        given: usize,
    },
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInitialised => f.write_str("init was called before: call it once"),
            Self::UnderWay => f.write_str("another call of init is under way: call it once"),
            Self::AreaTaken { index } => write!(
                f,
                "the per-CPU area at index {index} belongs to another subsystem: give each its own"
            ),
            Self::NoCpus => f.write_str("the slice of per-CPU areas is empty: give one per CPU"),
            Self::TooManyCpus { given } => {
                write!(f, "{given} CPUs were given, at most {} are served", crate::MAX_CPUS)
            }
        }
    }
}

impl Error for InitError {}
