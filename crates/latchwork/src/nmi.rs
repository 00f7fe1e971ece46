// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subsystem as a kernel holds it: one `static`.

use crate::{
    core_state::Core,
    cpu::PerCpu,
    error::{HandleError, InitError, RegisterError, SendError, StatsError},
    handler::{Class, HandlerSpec, NmiHandler},
    platform::Platform,
    primitive::{Ordering, const_unless_loom, fence},
    registration::Registration,
    registry::{self, HandlerId},
    request::Request,
    slot::ErasedHandler,
    stats::{CpuStats, HandlerStats},
    unknown::UnknownPolicy,
};

/// The NMI subsystem of a kernel whose services are `P`.
#[derive(Debug)]
pub struct Nmi<P> {
    pub(crate) core: Core,
    pub(crate) platform: P,
}

impl<P: Platform> Nmi<P> {
    const_unless_loom! {
        /// A subsystem without CPUs or handlers. NMIs that arrive now are counted as
        /// [too early](Self::too_early) and otherwise ignored.
        #[must_use]
        pub fn new(platform: P) -> Self {
            Self { core: Core::new(), platform }
        }
    }

    /// Gives the subsystem its per-CPU areas, one for each number that
    /// [`Platform::current_cpu`] can return. Once, from ordinary context, before anything is
    /// registered. CPUs that are not running cost nothing.
    ///
    /// The areas are this subsystem's from then on, for ever: no other takes one of them.
    ///
    /// # Errors
    ///
    /// See [`InitError`]; nothing has changed then, and the areas are as free as before.
    pub fn init(&'static self, cpus: &'static [PerCpu]) -> Result<(), InitError> {
        self.core.init(cpus)
    }

    /// The kernel's services.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// Registers a handler; it may be called before this returns. Not NMI-safe. Waits for no NMI.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`]; nothing has changed then.
    pub fn register<H: NmiHandler>(
        &'static self,
        spec: &HandlerSpec<'_>,
        handler: &'static H,
    ) -> Result<Registration, RegisterError> {
        let (core, platform) = self.parts();
        // SAFETY: the handler is valid for ever.
        let id = unsafe { registry::register(core, platform, spec, ErasedHandler::new(handler)) }?;
        self.owe_poll_for(id);
        Ok(Registration::new(core, platform, id))
    }

    /// A handler has been published. If it is a Platform one, its line may be asserted already, and give no
    /// edge.
    pub(crate) fn owe_poll_for(&'static self, id: HandlerId) {
        if id.class == Class::Platform {
            self.owe_poll();
        }
    }

    /// Turns a handle from [`Registration::into_handle`] back into a guard. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// [`HandleError::Stale`] if the handler is gone, [`HandleError::Guarded`] if a guard has it.
    pub fn reclaim(&'static self, id: HandlerId) -> Result<Registration, HandleError> {
        let (core, platform) = self.parts();
        registry::reclaim(core, platform, id)?;
        Ok(Registration::new(core, platform, id))
    }

    /// Sends a software NMI: counts the request, rings, counts the send as finished. **NMI-safe.**
    ///
    /// *Ordering*: what the sender stored before is visible to the handlers that see the request.
    ///
    /// Whoever knows that a CPU [came online](Self::come_online), because it said so, is not refused, and
    /// the request is served. A send that is under way while the CPU goes offline may succeed and be
    /// dropped there, and one that is under way all the time until the CPU is back may ring it without a
    /// request: whoever takes CPUs offline has the others stop sending first where that matters.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub fn send(&'static self, cpu: usize, request: Request) -> Result<(), SendError> {
        let cpus = self.core.cpus();
        if cpus.is_empty() {
            return Err(SendError::NotInitialised);
        }
        let target = cpus.get(cpu).ok_or(SendError::NoSuchCpu { cpu })?;
        let interrupts = self.platform.disable_interrupts();
        let sent = if request.is_to_self_only() && self.platform.current_cpu() != Some(cpu) {
            Err(SendError::ToSelfOnly(request))
        } else if target.presence().is_away() {
            Err(SendError::Offline { cpu })
        } else {
            self.post_and_ring(cpu, target, request)
        };
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { self.platform.restore_interrupts(interrupts) };
        sent
    }

    fn post_and_ring(
        &self,
        cpu: usize,
        target: &PerCpu,
        request: Request,
    ) -> Result<(), SendError> {
        target.senders.mailbox.post(request).map_err(|_| SendError::Saturated(request))?;
        let rung = self.platform.ring(cpu);
        target.senders.mailbox.finish();
        rung.map_err(SendError::NotRung)
    }

    /// Sends to `cpu` that are posted and whose ring is not known to be made; `None` if there is no
    /// such CPU. Exact on that CPU in NMI; from elsewhere a moment old. **NMI-safe.**
    pub fn unfinished_sends(&self, cpu: usize) -> Option<usize> {
        self.core.cpus().get(cpu).map(PerCpu::unfinished_sends)
    }

    /// Whether this CPU is in an NMI, parking and debugging included. **NMI-safe.**
    ///
    /// Ask with interrupts off, or the thread may have moved since.
    pub fn in_nmi(&self) -> bool {
        let area = self.platform.current_cpu().and_then(|cpu| self.core.cpus().get(cpu));
        area.is_some_and(|area| area.own.nmis_in_progress() != 0)
    }

    /// What to do about NMIs that nothing explains: at first, [`UnknownPolicy::Report`].
    pub fn set_unknown_policy(&self, policy: UnknownPolicy) {
        self.core.set_policy(policy);
    }

    /// NMIs that arrived before [`init`](Self::init), or before their CPU had per-CPU data.
    pub fn too_early(&self) -> usize {
        self.core.too_early.load(Ordering::Relaxed)
    }

    /// What `cpu` has seen so far; `None` if there is no such CPU. **NMI-safe.** Read while the CPU
    /// runs, the figures are each exact and together a moment apart.
    pub fn cpu_stats(&self, cpu: usize) -> Option<CpuStats> {
        let area = self.core.cpus().get(cpu)?;
        Some(area.counters.read(&area.grants.live_time))
    }

    /// What a handler has done on `cpu` so far. **NMI-safe.**
    ///
    /// # Errors
    ///
    /// See [`StatsError`].
    pub fn handler_stats(&self, id: HandlerId, cpu: usize) -> Result<HandlerStats, StatsError> {
        let area = self.core.cpus().get(cpu).ok_or(StatsError::NoSuchCpu { cpu })?;
        self.core.slot_of(id).ok_or(StatsError::Stale)?;
        let counters = area.slot_counters(id.class, id.slot).ok_or(StatsError::Stale)?;
        let stats = counters.read();
        // The counters were read before the generation is looked at again. Partner: the Release in
        // `Slot::free`, which comes before any `clear`.
        fence(Ordering::Acquire);
        self.core.slot_of(id).ok_or(StatsError::Stale)?;
        Ok(stats)
    }

    pub(crate) fn parts(&'static self) -> (&'static Core, &'static dyn Platform) {
        (&self.core, &self.platform)
    }
}
