// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel provides to the library.

use core::fmt;

use super::{
    after_leave::AfterLeave,
    context::NmiContext,
    error::{Fatal, RingError},
    report::{AbsorbedNmi, UnknownNmi},
    request::Requests,
    storm::Storm,
};

/// The interrupt state that [`Platform::disable_interrupts`] found, for
/// [`Platform::restore_interrupts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct InterruptState(pub usize);

/// The services that the library needs from the kernel.
///
/// # What must be mapped
///
/// An NMI comes under whichever page tables the CPU has loaded: those of a process, of a kernel
/// thread, or, where the kernel hides itself from user programs, those of a user program. So the
/// kernel maps the following under each root (on x86: each value of CR3) that a CPU can have loaded
/// while an NMI can reach it. It maps them at the same addresses under each root, writable where
/// the CPU writes to them, never pages them out, and no access to them faults or traps:
///
/// * what the CPU needs to get there: IDT, GDT, TSS, the entry code, and the stacks that this uses;
/// * the code and constants of the kernel's NMI path, of this library and of each registered
///   handler;
/// * the [`Nmi`](crate::Nmi) static, and the whole slice of [`PerCpu`](crate::PerCpu) areas given
///   to [`Nmi::init`](crate::Nmi::init): a Platform claim and a removal look at other CPUs' areas;
/// * what handlers and the methods below marked **NMI-safe** touch: the per-CPU data behind GS, the
///   clock, the interrupt controller's registers, the queue that reports go to.
///
/// An entry that loads the kernel's own page tables before anything else, and at its end restores
/// those that it found, needs only the first item under the other roots. The kernel may unmap a
/// handler's pages once the handler's removal has returned, and the pages of an item of deferred
/// work once [`Nmi::sync_work`](crate::Nmi::sync_work) has returned.
///
/// # Safety
///
/// Memory safety rests on these promises:
///
/// 1. [`current_cpu`](Self::current_cpu) is true: no two CPUs ever have the same number at the same
///    time, and while interrupts are off the number does not change.
/// 2. A CPU never leaves NMI context other than by returning from
///    [`Nmi::dispatch`](crate::Nmi::dispatch). What it does in [`after_leave`](Self::after_leave)
///    may last for ever but never resumes a handler. A CPU that is stopped for good, or reset,
///    leaves by [`Nmi::mark_offline`](crate::Nmi::mark_offline).
/// 3. [`disable_interrupts`](Self::disable_interrupts) keeps the calling thread on its CPU, and
///    keeps maskable interrupts out, until the matching restore.
/// 4. [`fatal`](Self::fatal) does not return and does not unwind.
/// 5. The methods marked **NMI-safe** take no lock that code outside NMI context takes, allocate
///    nothing, and neither block nor unwind.
pub unsafe trait Platform: Sync + 'static {
    /// This CPU's number, an index into the slice given to [`Nmi::init`](crate::Nmi::init), or
    /// `None` while it has no per-CPU data yet. **NMI-safe.**
    fn current_cpu(&self) -> Option<usize>;

    /// This CPU's clock, in ticks of any constant length; monotonic on one CPU. **NMI-safe.**
    ///
    /// It orders nothing: the CPU may read its clock a little early or late.
    ///
    /// *How far the clocks of two CPUs may differ*: where one CPU claims a condition and another
    /// takes its ring, the claim explains the ring if the other CPU's clock is ahead by less than
    /// [`late_us`](crate::Limits::late_us), the time that the ring takes included, or behind by
    /// less than half of [`cap_us`](crate::Limits::cap_us). Beyond that, the library may call the
    /// ring unknown, or explain an unknown by it for as much longer. It loses no event by it, and
    /// no removal returns early: neither goes by the clock. A debt is paid earlier or later by as
    /// much as the clocks differ, but by no more than [`overdue_us`](crate::Limits::overdue_us).
    ///
    /// *A clock that is reset or steps back* may end earlier grants immediately, so that the
    /// library may call a ring unknown that is under way. It may also absorb an unknown when the
    /// clock shows again what it showed at a claim. Take the CPU [offline](crate::Nmi::go_offline)
    /// before, and [online](crate::Nmi::come_online) after.
    fn now_ticks(&self) -> u64;

    /// How many ticks make a millisecond: at least 1, and always the same. **NMI-safe.**
    ///
    /// If it changes, because the kernel calibrates its clock late, every time that is under way is
    /// wrong by as much: the library may call a ring unknown, explain an unknown, and pay a debt
    /// late, but loses no event. Take the CPUs [offline](crate::Nmi::go_offline) meanwhile, and
    /// [set the limits](crate::Nmi::set_limits) again, which are checked against the rate of then.
    ///
    /// Times shorter than a tick count as one tick, and a debt may look up to three ticks older
    /// than it is. So with fewer than some 100 ticks a millisecond,
    /// [`late_us`](crate::Limits::late_us) lasts longer than it says, and the Platform handlers may
    /// be polled more often than once a tick period.
    fn ticks_per_ms(&self) -> u64;

    /// Makes one NMI arrive at `cpu`, which may be this CPU. **NMI-safe**; the library calls it
    /// with interrupts off.
    ///
    /// *Ordering*: every store before the call is visible to `cpu` when it takes the NMI. On x86
    /// the xAPIC's register write is ordered behind them; the x2APIC's WRMSR is not serialising and
    /// needs `MFENCE; LFENCE` in front (SDM Vol. 3A, "MSR Access in x2APIC Mode").
    ///
    /// # Errors
    ///
    /// [`RingError`] if the platform sent no NMI.
    fn ring(&self, cpu: usize) -> Result<(), RingError>;

    /// Keeps maskable interrupts away from this CPU, and the thread on it; calls nest.
    /// **NMI-safe.**
    fn disable_interrupts(&self) -> InterruptState;

    /// Undoes the matching [`disable_interrupts`](Self::disable_interrupts). **NMI-safe.**
    ///
    /// # Safety
    ///
    /// `state` is what the matching call returned on this CPU, and calls nest.
    unsafe fn restore_interrupts(&self, state: InterruptState);

    /// One turn of a busy wait. **NMI-safe.**
    fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Serves the software requests that this NMI took. **NMI-safe**, inside the read side: do not
    /// park here. For a [`Request::Stop`](crate::Request::Stop) the library also calls
    /// [`after_leave`](Self::after_leave), which parks.
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        let _ = (ctx, requests);
    }

    /// Raises one maskable interrupt on `cpu`, which may be this CPU; its handler calls
    /// [`Nmi::run_work`](crate::Nmi::run_work). **NMI-safe**; the library calls it with interrupts
    /// off.
    ///
    /// The interrupt may collapse with others of its kind that were raised and not taken yet. It
    /// may get lost if `cpu` has just gone offline. If the platform cannot raise it, what `cpu` was
    /// to do in it waits for the next tick of `cpu`.
    ///
    /// *Ordering*: every store before the call is visible to `cpu` when it takes the interrupt, as
    /// for [`ring`](Self::ring).
    fn interrupt_for_work(&self, cpu: usize);

    /// Whether this CPU takes maskable interrupts now. **NMI-safe**; in an NMI the answer does not
    /// matter.
    fn interrupts_are_on(&self) -> bool;

    /// Starts this CPU's tick again, so that a tick comes within one tick period. The library calls
    /// it where the tick is stopped and this CPU has something to do at it, such as to pay a poll
    /// that it owes. It calls it outside NMIs, with interrupts off, and only on a CPU on which the
    /// kernel has called [`tick_stopped`](crate::Nmi::tick_stopped). The kernel calls
    /// [`tick_restarted`](crate::Nmi::tick_restarted) once this CPU ticks, and may stop the tick
    /// again afterwards.
    fn restart_tick(&self);

    /// Reports an NMI that nothing explains. **NMI-safe**. Each CPU reports at most one in 100 ms,
    /// unless the policy is to panic.
    fn report_unknown(&self, report: &UnknownNmi);

    /// Reports that this CPU has absorbed edges for so long, or so often, that a true unknown which
    /// repeats may be among them. **NMI-safe**; at most once a second on each CPU.
    fn report_absorbed(&self, report: &AbsorbedNmi) {
        let _ = report;
    }

    /// A storm begins on this CPU. If a handler claims too often, mask its doorbell, if you own it.
    /// If no handler claims the NMIs, mask [what may ring](crate::StormSource::Unclaimed).
    /// **NMI-safe.**
    ///
    /// The library calls it once for each storm, handler and CPU, in the NMI that exceeds the
    /// limit. If this CPU had deferred that NMI's edge, the library calls it at the tick that
    /// settles the edge.
    ///
    /// The default does nothing: then only the reports of unknown NMIs show a storm.
    fn storm_began(&self, storm: &Storm) {
        let _ = storm;
    }

    /// The storm is over, and the kernel may unmask what rang: the handler has not claimed for a
    /// millisecond, or a whole 100 ms had no more unknown NMIs than the limit. The library calls it
    /// outside NMIs: at a tick of the same CPU, with interrupts off; where that CPU [goes
    /// offline](crate::Nmi::go_offline) or another [marks it](crate::Nmi::mark_offline); and on the
    /// CPU that removes the handler. So ask the storm for its CPU.
    fn storm_ended(&self, storm: &Storm) {
        let _ = storm;
    }

    /// Parks, enters a debugger or panics: this CPU is outside the read side, and still in its NMI.
    /// **NMI-safe.** It may return immediately, after any time, or not at all.
    ///
    /// Several CPUs may take NMIs that nothing explains at the same time. If the policy is to
    /// panic, the library elects one of them: on that CPU alone `due` says
    /// [`panic_on_unknown`](AfterLeave::panic_on_unknown). On every other CPU `due` says
    /// [`stop`](AfterLeave::stop), and [`panics_elsewhere`](AfterLeave::panics_elsewhere) as the
    /// reason. Such a CPU must park here and not return to what it was doing: the elected CPU may
    /// dump its memory, or find it holding a lock. The elected CPU waits for the others for a
    /// bounded time at most. If it returns, the kernel goes on, and it is the kernel that releases
    /// the parked CPUs.
    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave);

    /// Ends the kernel, because going on would be unsound. **NMI-safe.**
    fn fatal(&self, error: Fatal) -> !;
}

impl fmt::Debug for dyn Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Platform")
    }
}
