// SPDX-License-Identifier: MIT OR Apache-2.0
//! The serial console, COM1, with a copy on the text screen if there is one.
//!
//! Two kinds of code write to it. They share the port but no lock:
//!
//! - **Ordinary context** (threads and maskable interrupts) prints whole lines under [`LOCK`], with
//!   interrupts off. Code that an NMI may run never touches this lock: the NMI may have interrupted
//!   its holder.
//! - **The last words** of a kernel that stops ([`last_words`]) may come from any context, an NMI
//!   included. The CPU that writes them waits a bounded time for another CPU to finish its line,
//!   then writes to the port directly. Ordinary writers see [`SPEAKER`] and park.

use core::fmt::{self, Write};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::instructions::port::Port;

use crate::cpu::{self, area};
use crate::waiting::awaited;
use crate::{patience, screen};

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const DATA_READY: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// What the host writes when it has done what a record asked for.
const ANSWER: u8 = b'.';

const FREE: usize = 0;

/// The CPU that prints, plus one; 0 if nobody does.
///
/// Writers: ordinary context, interrupts off. Readers: anyone. Acquire on taking, Release on
/// leaving, so that lines do not mix.
static LOCK: AtomicUsize = AtomicUsize::new(FREE);

/// The CPU that writes the last words, plus one; 0 while the kernel lives. That CPU sets it once;
/// nobody clears it.
static SPEAKER: AtomicUsize = AtomicUsize::new(FREE);

/// How long a writer waits for the port to take a byte. Then it drops the byte: there is no other
/// place to report to.
const TRANSMITTER_LIMIT_MS: u64 = 10_000;

/// How many times the CPU with the last words checks whether another CPU has finished its line.
const PATIENCE_LOOKS: u32 = 200_000;

fn this_cpu_tag() -> usize {
    area::current_cpu().map_or(usize::MAX, |cpu| cpu + 1)
}

/// Sets 115200 8N1 and turns the port's interrupts off.
pub(crate) fn init() {
    for (offset, value) in
        [(1, 0x00_u8), (3, 0x80), (0, 0x01), (1, 0x00), (3, 0x03), (2, 0x07), (4, 0x03)]
    {
        // SAFETY: COM1's registers, in the order the 16550 wants; no interrupt line is enabled.
        unsafe { Port::new(COM1 + offset).write(value) };
    }
}

fn put(byte: u8) {
    if !patience::spin_until_or_ms(
        awaited!("the serial port to take a byte"),
        may_put,
        TRANSMITTER_LIMIT_MS,
    ) {
        return;
    }
    // SAFETY: the transmitter holding register is empty.
    unsafe { Port::new(COM1).write(byte) };
}

fn may_put() -> bool {
    // SAFETY: reading the line status register has no effect on anything but its error bits.
    unsafe { Port::<u8>::new(LINE_STATUS).read() & TRANSMITTER_EMPTY != 0 }
}

/// Waits for the host's answer to a record that asked for something. One thread at a time.
///
/// It waits without a limit: the time that a CPU measures says nothing about the host's, and the
/// host limits the whole boot.
pub(crate) fn wait_answer() {
    patience::spin(awaited!("the host's answer").without_limit(), has_answered);
}

/// Whether the host has answered: takes a byte of what it wrote, if there is one. One thread at a
/// time.
pub(crate) fn has_answered() -> bool {
    // SAFETY: reading the line status register has no effect on anything but its error bits.
    let status = unsafe { Port::<u8>::new(LINE_STATUS).read() };
    // SAFETY: takes a byte that is there; nobody else reads what comes in.
    status & DATA_READY != 0 && unsafe { Port::<u8>::new(COM1).read() } == ANSWER
}

/// Writes to the port. Code that has one holds the lock or writes the last words.
struct Direct;

impl Write for Direct {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                put(b'\r');
            }
            put(byte);
            screen::put(byte);
        }
        Ok(())
    }
}

/// Prints one line under the lock. Ordinary context only.
pub(crate) fn print_line(line: fmt::Arguments<'_>) {
    let was_enabled = cpu::interrupts_off();
    let tag = this_cpu_tag();
    let take = || LOCK.compare_exchange(FREE, tag, Ordering::Acquire, Ordering::Relaxed).is_ok();
    patience::spin(awaited!("another CPU to finish its line"), take);
    if SPEAKER.load(Ordering::Relaxed) == FREE {
        // Writing to the port cannot fail.
        let _ = Direct.write_fmt(line);
        let _ = Direct.write_str("\n");
    }
    LOCK.store(FREE, Ordering::Release);
    if SPEAKER.load(Ordering::Relaxed) != FREE {
        cpu::park();
    }
    cpu::interrupts_restore(was_enabled);
}

/// Makes this CPU the one that writes the last words, and calls `speak`. A second CPU that comes
/// here parks.
///
/// Callable from any context, an NMI included. A call out of `speak` itself, on the same CPU,
/// writes as well: it is a panic in the report of a panic, and the panic handler bounds how many
/// there are.
pub(crate) fn last_words(speak: impl FnOnce(&mut dyn Write)) {
    let tag = this_cpu_tag();
    let first = SPEAKER.compare_exchange(FREE, tag, Ordering::AcqRel, Ordering::Acquire);
    if first.is_err_and(|speaker| speaker != tag) {
        cpu::park();
    }
    // If this CPU was interrupted in a line, nothing will finish that line; another CPU soon
    // finishes its own.
    for _ in 0..PATIENCE_LOOKS {
        let holder = LOCK.load(Ordering::Acquire);
        if holder == FREE || holder == tag {
            break;
        }
        spin_loop();
    }
    let _ = Direct.write_str("\n");
    speak(&mut Direct);
}

/// Prints one formatted line under the console's lock. Ordinary context only.
macro_rules! println {
    ($($arg:tt)*) => { $crate::console::print_line(format_args!($($arg)*)) };
}
pub(crate) use println;
