// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel provides.

use core::fmt;

use super::{
    after_leave::AfterLeave,
    context::NmiContext,
    error::{Fatal, RingError},
    report::{AbsorbedNmi, UnknownNmi},
    request::Requests,
    storm::Storm,
};

/// What [`Platform::disable_interrupts`] found, for [`Platform::restore_interrupts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct InterruptState(pub usize);

/// The kernel, as Latchwork needs it.
///
/// # What must be mapped
///
/// An NMI comes under whichever page tables are loaded: those of a process, of a kernel thread, or
/// those of a user program where the kernel hides itself from it. So under each root (on x86: each
/// value of CR3) that a CPU can have loaded while an NMI can reach it, at the same addresses, and
/// writable where it is written, these are mapped, never paged out, and free of accesses that fault
/// or trap:
///
/// * what the CPU needs to get there: IDT, GDT, TSS, the entry code, and the stacks that this uses;
/// * the code and constants of the kernel's NMI path, of this library and of each registered
///   handler;
/// * the [`Nmi`](crate::Nmi) static, and the slice of [`PerCpu`](crate::PerCpu) given to
///   [`Nmi::init`](crate::Nmi::init), all of it: a Platform claim and a removal look at other CPUs'
///   areas;
/// * what handlers and the methods below marked **NMI-safe** touch: the per-CPU data behind GS, the
///   clock, the interrupt controller's registers, the queue that reports go to.
///
/// An entry that loads the kernel's own page tables before anything else, and puts back what it
/// found, needs only the first of these under the others. A handler's pages may be unmapped once
/// its removal has returned; an item's of deferred work, once
/// [`Nmi::sync_work`](crate::Nmi::sync_work) has.
///
/// # Safety
///
/// Memory safety rests on these promises:
///
/// 1. [`current_cpu`](Self::current_cpu) is true: no two CPUs ever get the same number at once, and
///    while interrupts are off the number does not change.
/// 2. A CPU never leaves NMI context other than by returning from
///    [`Nmi::dispatch`](crate::Nmi::dispatch), and what it does in
///    [`after_leave`](Self::after_leave) may last for ever but never resumes a handler. A CPU that
///    is stopped for good, or reset, leaves by [`Nmi::mark_offline`](crate::Nmi::mark_offline).
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
    /// Not ordering: it may be read a little early or late.
    ///
    /// *How far the clocks of two CPUs may differ*: a ring is explained on another CPU than the one
    /// that claimed its condition if its own clock is ahead by less than
    /// [`late_us`](crate::Limits::late_us), the time that the ring takes included, or behind by
    /// less than [`cap_us`](crate::Limits::cap_us). Beyond that the ring may be called unknown. No
    /// event is lost by it, and no removal returns early: neither goes by the clock.
    ///
    /// *A clock that is reset or steps back*: what was granted before may end at once, so that a
    /// ring which is under way may be called unknown. Take the CPU
    /// [offline](crate::Nmi::go_offline) before and [online](crate::Nmi::come_online) after.
    fn now_ticks(&self) -> u64;

    /// How many ticks make a millisecond: at least 1, and always the same. **NMI-safe.**
    ///
    /// Times shorter than a tick count as one tick, and a debt may look up to three ticks older
    /// than it is. So with fewer than some 100 ticks a millisecond,
    /// [`late_us`](crate::Limits::late_us) lasts longer than it says, and the Platform handlers may
    /// be polled more often than once a tick period.
    fn ticks_per_ms(&self) -> u64;

    /// Makes one NMI arrive at `cpu`, this one included. **NMI-safe**, and called with interrupts
    /// off.
    ///
    /// *Ordering*: every store before the call is visible to `cpu` when it takes the NMI. On x86
    /// the xAPIC's register write is ordered behind them; the x2APIC's WRMSR is not serialising and
    /// needs `MFENCE; LFENCE` in front (SDM Vol. 3A, "MSR Access in x2APIC Mode").
    ///
    /// # Errors
    ///
    /// [`RingError`] if no NMI was sent.
    fn ring(&self, cpu: usize) -> Result<(), RingError>;

    /// Keeps maskable interrupts out of this CPU and the thread on it; nests. **NMI-safe.**
    fn disable_interrupts(&self) -> InterruptState;

    /// Undoes the matching [`disable_interrupts`](Self::disable_interrupts). **NMI-safe.**
    ///
    /// # Safety
    ///
    /// `state` is what that call returned, on this CPU, and calls nest.
    unsafe fn restore_interrupts(&self, state: InterruptState);

    /// A turn of a busy wait. **NMI-safe.**
    fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Serves the software requests that this NMI took. **NMI-safe**, inside the read side: do not
    /// park here; a [`Request::Stop`](crate::Request::Stop) comes again in
    /// [`after_leave`](Self::after_leave).
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        let _ = (ctx, requests);
    }

    /// Makes one maskable interrupt arrive at `cpu`, this one included, whose handler calls
    /// [`Nmi::run_work`](crate::Nmi::run_work). **NMI-safe**, and called with interrupts off.
    ///
    /// It may collapse with others of its kind that were raised and not taken yet. To a CPU that
    /// has just gone offline it may get lost. Where it cannot be raised, what it is for waits for
    /// that CPU's next tick.
    ///
    /// *Ordering*: every store before the call is visible to `cpu` when it takes the interrupt, as
    /// for [`ring`](Self::ring).
    fn interrupt_for_work(&self, cpu: usize);

    /// Whether maskable interrupts can come to this CPU now. **NMI-safe**; in an NMI any answer
    /// will do.
    fn interrupts_are_on(&self) -> bool;

    /// Gives this CPU a tick, a tick period from now at the latest: its tick is stopped, and it
    /// owes a poll. Called outside NMIs, with interrupts off, and only on a CPU that said
    /// [`tick_stopped`](crate::Nmi::tick_stopped); the kernel says
    /// [`tick_restarted`](crate::Nmi::tick_restarted) when it ticks, and may stop it again after.
    fn restart_tick(&self);

    /// Reports an NMI that nothing explains. **NMI-safe**; the dispatcher limits the rate to one a
    /// CPU in 100 ms, unless the policy is to panic.
    fn report_unknown(&self, report: &UnknownNmi);

    /// Reports that edges were absorbed for so long, or so often, that a true unknown which repeats
    /// may be among them. **NMI-safe**; at most once a second and CPU.
    fn report_absorbed(&self, report: &AbsorbedNmi) {
        let _ = report;
    }

    /// A handler claims too often on this CPU: mask its doorbell, if you own it. Or NMIs come that
    /// nobody claims: mask [what may ring](crate::StormSource::Unclaimed). **NMI-safe**; in the NMI
    /// that was one too many, or, where it had been deferred, at the tick that settles it. Once for
    /// each storm, handler and CPU.
    ///
    /// Unless it is implemented, storms pass unnoticed but for the reports of unknown NMIs.
    fn storm_began(&self, storm: &Storm) {
        let _ = storm;
    }

    /// What rang may be unmasked: the handler has not claimed for a millisecond, or a whole 100 ms
    /// had no more unknown NMIs than the limit. At a tick of the same CPU, outside NMIs, with
    /// interrupts off.
    fn storm_ended(&self, storm: &Storm) {
        let _ = storm;
    }

    /// Parks, debugs or panics: this CPU is outside the read side, and still in its NMI.
    /// **NMI-safe.** It may return at once or after any time, or not at all.
    ///
    /// Where NMIs that nothing explains come to several CPUs at once and the policy is to panic,
    /// the library elects one: there alone `due` says
    /// [`panic_on_unknown`](AfterLeave::panic_on_unknown). On every other it says
    /// [`stop`](AfterLeave::stop), and [`panics_elsewhere`](AfterLeave::panics_elsewhere) why: it
    /// must park here and not return to what it was doing, since the elected CPU may find it
    /// holding a lock, or dump its memory. The elected CPU waits for none of them but by a bound.
    /// Where it returns, the kernel goes on, and the parked CPUs are the kernel's to let go.
    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave);

    /// Ends the kernel, because going on would be unsound. **NMI-safe.**
    fn fatal(&self, error: Fatal) -> !;
}

impl fmt::Debug for dyn Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Platform")
    }
}
