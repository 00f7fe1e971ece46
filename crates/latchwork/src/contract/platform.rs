// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel provides.

use core::fmt;

use super::{
    after_leave::AfterLeave,
    context::NmiContext,
    error::{Fatal, RingError},
    report::{AbsorbedNmi, Storm, UnknownNmi},
    request::Requests,
};

/// What [`Platform::disable_interrupts`] found, for [`Platform::restore_interrupts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct InterruptState(pub usize);

/// The kernel, as Latchwork needs it.
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
    fn now_ticks(&self) -> u64;

    /// How many ticks make a millisecond. **NMI-safe.**
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

    /// A handler claims too often on this CPU: mask its doorbell, if you own it. **NMI-safe**; in
    /// the NMI that was one too many.
    fn storm_began(&self, storm: &Storm) {
        let _ = storm;
    }

    /// The doorbell may be unmasked. A tick after the storm's last claim; outside NMIs, with
    /// interrupts off.
    fn storm_ended(&self, storm: &Storm) {
        let _ = storm;
    }

    /// Parks, debugs or panics: this CPU is outside the read side, and still in its NMI.
    /// **NMI-safe.** It may return at once or after any time, or not at all.
    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave);

    /// Ends the kernel, because going on would be unsound. **NMI-safe.**
    fn fatal(&self, error: Fatal) -> !;
}

impl fmt::Debug for dyn Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Platform")
    }
}
