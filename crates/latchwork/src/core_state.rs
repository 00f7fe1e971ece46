// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of [`Nmi`](crate::Nmi) that does not depend on the platform's type, so that guards and
//! tickets need not either.

use crate::{
    cpu::{MAX_CPUS, PerCpu},
    error::{InDispatch, InitError},
    panic_election::PanicElection,
    platform::Platform,
    primitive::{AtomicBool, AtomicPtr, AtomicUsize, Counter, Ordering, const_unless_loom},
    recovery::Shared,
    registry::{HandlerId, Registry},
    slot::Slot,
    subsystem::SubsystemId,
    unknown::UnknownPolicy,
};

/// `init` has not succeeded, and nobody is in it.
const NOT_INITIALISED: usize = 0;
/// Somebody is in `init`.
const UNDER_WAY: usize = 1;
/// `init` has succeeded.
const INITIALISED: usize = 2;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) registry: Registry,
    pub(crate) shared: Shared,
    /// Which CPU plays the boot CPU's role. Written and read under the writer lock.
    pub(crate) boot_cpu: Counter,
    /// Where the per-CPU areas begin; null before `init`. Written once, Release, after `cpu_count`;
    /// read with Acquire.
    cpus: AtomicPtr<PerCpu>,
    cpu_count: AtomicUsize,
    /// How far [`init`](Self::init) is. Its callers write it: one exchange lets one of them in, and
    /// that one says how it ended.
    init_state: AtomicUsize,
    /// NMIs that no CPU could attribute to itself. Any CPU adds; nobody decides anything by it.
    pub(crate) too_early: AtomicUsize,
    /// Written from ordinary context, read on an unknown NMI; a stale value is the policy of a
    /// moment ago.
    policy: AtomicUsize,
    pub(crate) panic: PanicElection,
    /// A CPU that is offline may have items on its lists. Set by whoever put one there or took that CPU
    /// offline, Release; taken by whoever then looks at the lists of all CPUs that are offline, Acquire. A
    /// look that misses it is made up for at the next tick; whoever raises an interrupt after setting it
    /// sees it there.
    work_is_left: AtomicBool,
}

impl Core {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                registry: Registry::new(),
                shared: Shared::new(),
                boot_cpu: Counter::new(0),
                cpus: AtomicPtr::new(core::ptr::null_mut()),
                cpu_count: AtomicUsize::new(0),
                init_state: AtomicUsize::new(NOT_INITIALISED),
                too_early: AtomicUsize::new(0),
                policy: AtomicUsize::new(UnknownPolicy::Report as usize),
                panic: PanicElection::new(),
                work_is_left: AtomicBool::new(false),
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

    /// Makes all areas those of this subsystem, or none.
    ///
    /// # Errors
    ///
    /// The index of the first that belongs to somebody.
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

    /// Refuses what would wait for this very CPU. Interrupts are off while it looks, so that the
    /// thread does not move to another CPU between asking for its number and reading the word.
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

    /// An item may be on a list of a CPU that is offline. Any context.
    pub(crate) fn leave_work(&self) {
        self.work_is_left.store(true, Ordering::Release);
    }

    /// Whether somebody must look at the lists of the CPUs that are offline; if so, it is the caller.
    pub(crate) fn take_left_work(&self) -> bool {
        self.work_is_left.load(Ordering::Relaxed)
            && self.work_is_left.swap(false, Ordering::Acquire)
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
