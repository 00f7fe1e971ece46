// SPDX-License-Identifier: MIT OR Apache-2.0
//! This kernel's use of the local APICs: one mode for all CPUs, a tick, a wake-up vector, and IPIs
//! by CPU number.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use latchwork::RingError;
use latchwork_x86::Vector;
use latchwork_x86::hw::{CpuMsr, MmioWindow};
use latchwork_x86::icr::{ApicId, FixedTarget, Ipi, StartupPage, Target};
use latchwork_x86::lapic::lvt::{
    CpuEvent, CpuEventDelivery, Lint, LintDelivery, Lvt, Mask, Polarity,
};
use latchwork_x86::lapic::mode::{self, ApicMode};
use latchwork_x86::lapic::{
    AnyApic, Divider, ErrorStatus, KeptErrors, Lapic, SendError, TimerMode, X2Apic, XApic,
};
use latchwork_x86::nmi_lines::LintNmis;
use x86_64::instructions::port::Port;

use crate::cpu::area;
use crate::waiting::awaited;
use crate::{patience, time, trap};

type LocalApic = Lapic<AnyApic<MmioWindow, CpuMsr>>;

/// Ticks of the periodic timer in a second: the period that the library assumes by default.
const TICK_HZ: u64 = 1_000;

const TICK: Vector = Vector::of::<{ trap::Vector::Tick as u8 }>();
const WAKE: Vector = Vector::of::<{ trap::Vector::Wake as u8 }>();
const SHOOTDOWN: Vector = Vector::of::<{ trap::Vector::Shootdown as u8 }>();
const NMI_WORK: Vector = Vector::of::<{ trap::Vector::NmiWork as u8 }>();
const ERROR: Vector = Vector::of::<{ trap::Vector::Error as u8 }>();
const SPURIOUS: Vector = Vector::of::<{ trap::Vector::Spurious as u8 }>();

/// By what the timer's clock is divided.
const DIVIDER: Divider = Divider::By16;

/// Where the registers are in xAPIC mode on every machine whose firmware has not moved them;
/// [`init_this_cpu`] checks it.
const XAPIC_PAGE: usize = 0xfee0_0000;

/// The mode of all CPUs. Written once, before any is initialised.
static X2APIC: AtomicBool = AtomicBool::new(false);

/// The timer's count for one tick. Written once, by the boot CPU.
static COUNT_PER_TICK: AtomicU32 = AtomicU32::new(0);

const fn msrs() -> CpuMsr {
    // SAFETY: the kernel runs at privilege level 0.
    unsafe { CpuMsr::new() }
}

/// The local APIC of the executing CPU. NMI-safe.
#[inline(always)]
fn local() -> LocalApic {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: every CPU enters x2APIC mode before it uses its APIC.
        return Lapic::new(AnyApic::X2Apic(unsafe { X2Apic::new(msrs()) }));
    }
    Lapic::new(AnyApic::XApic(in_xapic_mode()))
}

/// The registers of the executing CPU's APIC, which is in xAPIC mode. NMI-safe.
#[inline(always)]
fn in_xapic_mode() -> XApic<MmioWindow> {
    let page = core::ptr::with_exposed_provenance_mut::<u32>(XAPIC_PAGE);
    let page = NonNull::new(page).unwrap_or(NonNull::dangling());
    // SAFETY: the identity map has this page, uncached, on every CPU and for ever.
    let window = unsafe { MmioWindow::new(page) };
    // SAFETY: the window is the register page, and the caller knows the mode.
    unsafe { XApic::new(window) }
}

/// Chooses the mode for all CPUs. Boot CPU, before [`init_this_cpu`].
pub(crate) fn choose_mode(mode: ApicMode) {
    X2APIC.store(mode == ApicMode::X2Apic, Ordering::Relaxed);
}

/// Enables this CPU's APIC, masks everything that the APIC could raise by itself but its tick,
/// calls `calibrate` before it starts the tick, and brings the APIC into the chosen mode. Once each
/// time that the CPU starts, interrupts off.
///
/// This function starts the timer before it enters x2APIC mode, which keeps the timer running (SDM
/// Vol. 3A, "State Changes From xAPIC Mode to x2APIC Mode"). Nothing touches the timer again: under
/// the instruction clock QEMU ends with "Bad icount read" when RDMSR reads the timer's current
/// count (`findings/x2apic-timer-and-instruction-clock.sh`).
///
/// A CPU that INIT stopped in x2APIC mode stays in it (SDM Vol. 3A, "x2APIC States", "State Changes
/// From x2APIC Mode"). The way back to xAPIC mode leads through an APIC that is off. So this
/// function sets such a CPU up in x2APIC mode.
pub(crate) fn init_this_cpu(calibrate: impl FnOnce()) {
    // SAFETY: these are this CPU's MSRs.
    let starts_in_x2apic = unsafe { mode::current(&msrs()) } == ApicMode::X2Apic;
    let is_first_cpu = COUNT_PER_TICK.load(Ordering::Relaxed) == 0;
    if starts_in_x2apic && X2APIC.load(Ordering::Relaxed) && !is_first_cpu {
        set_up(&local(), calibrate);
        return;
    }
    // SAFETY: nothing uses this APIC yet.
    unsafe { mode::switch(&msrs(), ApicMode::XApic) };
    // SAFETY: these are this CPU's MSRs.
    let base = unsafe { mode::base_address(&msrs()) };
    assert!(base == XAPIC_PAGE as u64, "the local APIC has been moved to {base:#x}");

    set_up(&Lapic::new(AnyApic::XApic(in_xapic_mode())), calibrate);
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: the boot CPU has checked that the CPUs have x2APIC, and from here on `local` uses
        // the new mode.
        unsafe { mode::switch(&msrs(), ApicMode::X2Apic) };
    }
}

fn set_up(apic: &LocalApic, calibrate: impl FnOnce()) {
    apic.set_task_priority(0);
    apic.enable(SPURIOUS);
    apic.set_error(ERROR, Mask::Unmasked);
    // LINT0 is where the 8259 is wired to, which this kernel does not use; LINT1 is the machine's
    // NMI line.
    set(apic.set_lint(Lint::Lint0, LintDelivery::ExtInt, Polarity::ActiveHigh, Mask::Masked));
    set(apic.set_lint(Lint::Lint1, LintDelivery::Nmi(None), Polarity::ActiveHigh, Mask::Masked));
    for (entry, event) in [
        (Lvt::Performance, CpuEvent::Performance),
        (Lvt::Thermal, CpuEvent::Thermal),
        (Lvt::Cmci, CpuEvent::Cmci),
    ] {
        if apic.has(entry) {
            set(apic.set_cpu_event(event, CpuEventDelivery::Nmi(None), Mask::Masked));
        }
    }

    apic.set_timer(TICK, TimerMode::Periodic, Mask::Masked);
    calibrate();
    apic.set_timer(TICK, TimerMode::Periodic, Mask::Unmasked);
    apic.start_timer(DIVIDER, COUNT_PER_TICK.load(Ordering::Relaxed));
}

fn set<E: core::fmt::Debug>(programmed: Result<(), E>) {
    if let Err(error) = programmed {
        panic!("the local vector table refuses an entry: {error:?}");
    }
}

/// Masks every interrupt at the two 8259s, which firmware leaves in use.
pub(crate) fn silence_8259s() {
    for port in [0x21, 0xa1] {
        // SAFETY: the mask registers of the 8259s; nobody here wants their interrupts.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
}

/// This CPU's physical APIC ID.
pub(crate) fn id() -> ApicId {
    local().id()
}

/// Measures the TSC and the APIC timer against the 8254. Boot CPU, once, interrupts off, in xAPIC
/// mode.
pub(crate) fn calibrate() {
    let apic = Lapic::new(in_xapic_mode());
    let mut left = 0;
    let measured_ms =
        time::calibrate(|| apic.start_timer(DIVIDER, u32::MAX), || left = apic.timer_count());
    let per_tick = u64::from(u32::MAX - left) * (1000 / TICK_HZ) / measured_ms;
    let per_tick = u32::try_from(per_tick).unwrap_or(u32::MAX);
    assert!(per_tick != 0, "the local APIC's timer does not count");
    COUNT_PER_TICK.store(per_tick, Ordering::Relaxed);
}

/// Holds back this CPU's tick, or lets it come again; other interrupts come as before. It raises
/// the task priority to the tick's, and leaves the timer's own registers alone, for the reason at
/// [`init_this_cpu`]. One tick that fell due meanwhile comes at once.
pub(crate) fn hold_tick(held: bool) {
    local().set_task_priority(if held { TICK.get() } else { 0 });
}

/// Ends the maskable interrupt in service.
#[inline(always)]
pub(crate) fn end_of_interrupt() {
    local().end_of_interrupt();
}

/// The errors of this CPU's APIC since the last call. Interrupts off.
pub(crate) fn errors() -> ErrorStatus {
    let stored = area::this().map(|area| &area.kept_apic_errors);
    let bits = stored.map_or(0, |stored| stored.load(Ordering::Relaxed));
    let mut kept = KeptErrors::from_bits(bits);
    let errors = local().take_errors(&mut kept);
    if let Some(stored) = stored {
        stored.store(kept.bits(), Ordering::Relaxed);
    }
    errors
}

/// Forgets the errors that this CPU's APIC found before this kernel had it. Once each time that the
/// CPU starts, after it has its area, interrupts off.
pub(crate) fn forget_errors() {
    let _ = errors();
}

/// The physical APIC ID of `cpu`, by which interrupts reach it. NMI-safe.
pub(crate) fn target(cpu: usize) -> Option<ApicId> {
    ApicId::new(area::of(cpu)?.apic_id.load(Ordering::Relaxed))
}

/// Sends one NMI to `cpu`, this one included: always to its physical APIC ID. NMI-safe.
///
/// # Errors
///
/// [`RingError`] if none was sent.
#[inline]
pub(crate) fn send_nmi(cpu: usize) -> Result<(), RingError> {
    let id = target(cpu).ok_or(RingError::Unreachable)?;
    match local().send(&Ipi::Nmi { source: None, to: Target::Cpu(id) }) {
        // The APIC has it and will deliver it, if late.
        Ok(()) | Err(SendError::StillPending) => Ok(()),
        Err(SendError::NotAddressable(_)) => Err(RingError::Unreachable),
        Err(_) => Err(RingError::Busy),
    }
}

/// What to write to send an NMI to this CPU, for code that has no register free to call the driver.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NmiWords {
    /// `high` to offset 310H, then `low` to offset 300H of `page`.
    XApic { page: u64, high: u64, low: u64 },
    /// `value` to the MSR `msr`.
    X2Apic { msr: u64, value: u64 },
}

/// The words that send an NMI to this CPU, as the library encodes them.
pub(crate) fn self_nmi_words() -> NmiWords {
    const X2APIC_ICR: u64 = 0x830;
    let nmi = Ipi::Nmi { source: None, to: Target::Cpu(id()) };
    if X2APIC.load(Ordering::Relaxed) {
        return NmiWords::X2Apic { msr: X2APIC_ICR, value: nmi.to_x2apic() };
    }
    match nmi.to_xapic() {
        Ok(icr) => NmiWords::XApic {
            page: XAPIC_PAGE as u64,
            high: u64::from(icr.high.unwrap_or(0)),
            low: u64::from(icr.low),
        },
        Err(error) => panic!("{error}"),
    }
}

/// Sends the maskable wake-up to `cpu`. Ordinary context.
pub(crate) fn send_wake(cpu: usize) {
    let Some(id) = target(cpu) else {
        panic!("CPU {cpu} has no APIC ID");
    };
    deliver(&Ipi::Fixed { vector: WAKE, to: FixedTarget::Cpu(id) });
}

/// Sends the maskable wake-up to all other CPUs. Ordinary context.
pub(crate) fn send_wake_to_others() {
    deliver(&Ipi::Fixed { vector: WAKE, to: FixedTarget::AllExcludingSelf });
}

/// Has all other CPUs drop pages ([`crate::paging::shootdown`]). Ordinary context.
pub(crate) fn send_shootdown_to_others() {
    deliver(&Ipi::Fixed { vector: SHOOTDOWN, to: FixedTarget::AllExcludingSelf });
}

/// Sends the interrupt for the NMI subsystem's work to `cpu`, this one included. NMI-safe. If the
/// APIC does not take it, that CPU's next tick does the work.
pub(crate) fn send_nmi_work(cpu: usize) {
    let apic = local();
    let _ = match target(cpu) {
        Some(_) if area::current_cpu() == Some(cpu) => apic.send_self(NMI_WORK),
        Some(id) => apic.send(&Ipi::Fixed { vector: NMI_WORK, to: FixedTarget::Cpu(id) }),
        None => Ok(()),
    };
}

/// Sends the maskable wake-up to this CPU. Any context.
pub(crate) fn send_wake_to_self() {
    if let Err(error) = local().send_self(WAKE) {
        panic!("no IPI to this CPU: {error}");
    }
}

/// Returns once this CPU has taken a maskable interrupt that it sent itself now: by then it has
/// taken every NMI that was pending before. Threads only, interrupts on.
pub(crate) fn flush_pending() {
    let Some(area) = area::this() else {
        return;
    };
    let before = area.wakes.load(Ordering::Acquire);
    send_wake_to_self();
    let is_taken = || area.wakes.load(Ordering::Acquire) != before;
    patience::spin(awaited!("the interrupt that it has sent itself"), is_taken);
}

/// Programs the pins of this CPU to which NMI lines are wired. Ordinary context.
pub(crate) fn program_nmi_lines(lines: &LintNmis, mask: Mask) {
    set(lines.program(&local(), None, mask));
}

/// Sends INIT to the CPU with this APIC ID: it waits for a start-up IPI from then on.
pub(crate) fn send_init(id: ApicId) {
    deliver(&Ipi::Init { to: Target::Cpu(id) });
}

/// Sends a start-up IPI.
///
/// # Safety
///
/// The page holds start-up code, and what it needs is prepared.
pub(crate) unsafe fn send_startup(id: ApicId, page: u8) {
    // SAFETY: the caller vouches for the page.
    let page = unsafe { StartupPage::new(page) };
    deliver(&Ipi::Startup { page, to: Target::Cpu(id) });
}

fn deliver(ipi: &Ipi) {
    if let Err(error) = local().send(ipi) {
        panic!("an IPI was not delivered ({ipi:?}): {error}");
    }
}
