// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time: the time-stamp counter, measured once against the 8254 timer.
//!
//! This module assumes what holds under QEMU and on x86-64 CPUs since about 2010: the TSC is
//! invariant (constant rate, never stops), and the CPUs' counters agree to within far less than a
//! microsecond. Under QEMU's instruction clock the TSC *is* the virtual clock.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;

use crate::cpu;

/// How long the TSC is measured.
const MEASURE_MS: u64 = 5;

/// How long to wait for the 8254's count: seconds, whatever the TSC's rate.
const MOST_TICKS_TO_COUNT: u64 = 100_000_000_000;

const PIT_HZ: u64 = 1_193_182;
const PIT_CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const PORT_B: u16 = 0x61;

/// The initial value, before the measurement, is more than any CPU has, so that no wait is too
/// short.
static TICKS_PER_MS: AtomicU64 = AtomicU64::new(10_000_000);

/// This CPU's clock in ticks. NMI-safe. Not ordered with what is around it.
#[inline(always)]
pub(crate) fn now_ticks() -> u64 {
    // SAFETY: RDTSC has no effect on memory; CR4.TSD is clear.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Ticks in a millisecond. NMI-safe.
#[inline(always)]
pub(crate) fn ticks_per_ms() -> u64 {
    TICKS_PER_MS.load(Ordering::Relaxed)
}

/// Measures the TSC against channel 2 of the 8254, and calls `before` and `after` at the ends of
/// the measured time. Returns how many milliseconds lay in between. Boot CPU, once, interrupts off.
pub(crate) fn calibrate(before: impl FnOnce(), after: impl FnOnce()) -> u64 {
    TICKS_PER_MS.store(measure_ticks_per_ms(MEASURE_MS, before, after), Ordering::Relaxed);
    MEASURE_MS
}

/// Measures the TSC many times more, for a short time each, and keeps the least of all results:
/// where the host runs something else meanwhile, a result is too large, by half or more if the host
/// is busy. Boot CPU, while nobody measures time.
pub(crate) fn calibrate_again() {
    const TIMES: usize = 100;
    const SHORT_MS: u64 = 1;
    if is_instruction_clock() {
        return;
    }
    for _ in 0..TIMES {
        let enabled = cpu::interrupts_off();
        let ticks_per_ms = measure_ticks_per_ms(SHORT_MS, || {}, || {});
        cpu::interrupts_restore(enabled);
        TICKS_PER_MS.fetch_min(ticks_per_ms, Ordering::Relaxed);
    }
}

/// Lets the 8254's channel 2 count for `ms`, and returns how many ticks of the TSC each of them
/// took: never too few.
fn measure_ticks_per_ms(ms: u64, before: impl FnOnce(), after: impl FnOnce()) -> u64 {
    const GATE: u8 = 1;
    const SPEAKER: u8 = 2;
    const OUTPUT: u8 = 1 << 5;
    /// Channel 2, low byte then high byte, mode 0: the output rises when the count is over.
    const ONE_SHOT: u8 = 0b1011_0000;

    let count = (PIT_HZ * ms).div_ceil(1000) as u16;
    let [low, high] = count.to_le_bytes();
    let mut port_b = Port::<u8>::new(PORT_B);
    // SAFETY: nobody else uses port 0x61 this early.
    let idle = unsafe { port_b.read() } & !(GATE | SPEAKER) & 0x0f;
    // SAFETY: closes the gate, keeps the speaker silent and the NMI enables as they were.
    unsafe { port_b.write(idle) };
    // SAFETY: nobody else uses the 8254's channel 2.
    unsafe { Port::new(PIT_COMMAND).write(ONE_SHOT) };
    // SAFETY: as above.
    unsafe { Port::new(PIT_CHANNEL_2).write(low) };
    // SAFETY: as above.
    unsafe { Port::new(PIT_CHANNEL_2).write(high) };

    let start = now_ticks();
    // SAFETY: opens the gate, which starts the count.
    unsafe { port_b.write(idle | GATE) };
    before();
    // SAFETY: reading port 0x61 clears nothing.
    while unsafe { port_b.read() } & OUTPUT == 0 {
        pass_time();
        let waited_ticks = now_ticks().wrapping_sub(start);
        assert!(waited_ticks < MOST_TICKS_TO_COUNT, "the 8254 does not count");
    }
    let ticks = now_ticks().wrapping_sub(start);
    after();
    // SAFETY: closes the gate again.
    unsafe { port_b.write(idle) };
    (ticks / ms).max(1)
}

/// How long this CPU keeps its turn in [`delay_us`] under the deterministic clock.
const TURN_US: u64 = 20;

/// Busy-waits. Any context.
///
/// It executes PAUSE once in [`TURN_US`], not at every look: at a PAUSE, QEMU under the
/// deterministic clock goes on to the next CPU, and only instructions make time pass. Without any
/// PAUSE, QEMU before 8.1 lets this CPU keep its turn until the next timer's event, and may then
/// begin with this CPU again, so that the CPU it waits for never executes.
pub(crate) fn delay_us(us: u64) {
    let ticks_of_us = |us: u64| ticks_per_ms() * us / 1000;
    let (delay_ticks, turn_ticks) = (ticks_of_us(us), ticks_of_us(TURN_US));
    let start_ticks = now_ticks();
    let mut turn_began_ticks = start_ticks;
    loop {
        let now_ticks_here = now_ticks();
        if now_ticks_here.saturating_sub(start_ticks) >= delay_ticks {
            return;
        }
        if now_ticks_here.saturating_sub(turn_began_ticks) >= turn_ticks {
            core::hint::spin_loop();
            turn_began_ticks = now_ticks();
        }
        pass_time();
    }
}

/// Executes some hundred instructions that are cheap to emulate.
fn pass_time() {
    for turn in 0..64 {
        core::hint::black_box(turn);
    }
}

/// A period for [`shuffle_turns`] that costs little: some 40 microseconds.
pub(crate) const SOME_PERIOD: u16 = 47;

/// Under the instruction clock, makes the 8254's channel 0 count in periods of `count` of its
/// clock's ticks, 2 or more; 0 stops that. Its interrupt is masked, so the CPUs do not see it.
/// Under other clocks this function does nothing.
///
/// Each event of a timer ends the turn of the CPU that QEMU executes, and as an event comes near,
/// turns get shorter, down to one instruction. So short periods make CPUs take turns at all kinds
/// of instruction boundaries, and not only where they pause.
pub(crate) fn shuffle_turns(count: u16) {
    /// Channel 0, low byte then high byte, mode 2: periodic.
    const PERIODIC: u8 = 0b0011_0100;
    /// Channel 0, low byte then high byte, mode 0: once.
    const ONCE: u8 = 0b0011_0000;
    const PIT_CHANNEL_0: u16 = 0x40;

    if !is_instruction_clock() {
        return;
    }
    // SAFETY: nobody else uses the 8254's channel 0, and the 8259s keep its interrupt.
    unsafe { Port::new(PIT_COMMAND).write(if count == 0 { ONCE } else { PERIODIC }) };
    for byte in count.to_le_bytes() {
        // SAFETY: as above.
        unsafe { Port::new(PIT_CHANNEL_0).write(byte) };
    }
}

/// Whether the TSC is QEMU's instruction clock: one tick a nanosecond, as near as it can be
/// measured.
pub(crate) fn is_instruction_clock() -> bool {
    ticks_per_ms().abs_diff(1_000_000) < 1_000
}
