// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending the machine, in the way that the command line names: `exit=isa-debug` for QEMU's device
//! of that name, `exit=bochs` for Bochs's shutdown port, and a halt where it names nothing. The
//! kernel writes only to the device that the command line names: port 0xf4 may belong to any
//! device.

use core::sync::atomic::{AtomicU8, Ordering};

use x86_64::instructions::port::Port;

use crate::cmdline::CommandLine;
use crate::{console, cpu, record};

const DEBUG_EXIT: u16 = 0xf4;

/// Bochs ends when this word is written here, letter by letter (Bochs 2.7, `iodev/unmapped.cc`).
const BOCHS_SHUTDOWN: u16 = 0x8900;
const BOCHS_WORD: &[u8] = b"Shutdown";

/// How the kernel ended. The exit status is twice the value plus one: QEMU computes it so, and the
/// record for Bochs does the same.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Ending {
    /// The scenario ran to its end (status 33). Whether it held is in its checks.
    InOrder = 0x10,
    /// A panic or an unexpected exception (status 35).
    Panic = 0x11,
    /// The unknown policy stopped the kernel (status 37).
    UnknownPolicy = 0x12,
}

impl Ending {
    const fn status(self) -> u32 {
        (self as u32) << 1 | 1
    }
}

/// What ends the machine.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Way {
    /// Nothing: the CPU parks, and somebody turns the machine off.
    Halt = 0,
    /// QEMU's `isa-debug-exit` device.
    IsaDebug = 1,
    /// Bochs's shutdown port. It takes no status, so a record says it before.
    Bochs = 2,
}

/// The [`Way`] to end. The boot CPU writes it once, before others start; the CPU that ends the
/// machine reads it, in any context. Relaxed: a CPU that started later sees what was written before
/// its start.
static WAY: AtomicU8 = AtomicU8::new(Way::Halt as u8);

/// Reads from the command line how to end the machine. Boot CPU, once, before others start.
pub(crate) fn choose(cmdline: CommandLine) {
    let way = match cmdline.value("exit").unwrap_or("halt") {
        "halt" => Way::Halt,
        "isa-debug" => Way::IsaDebug,
        "bochs" => Way::Bochs,
        other => panic!("there is no way to exit by \"{other}\""),
    };
    WAY.store(way as u8, Ordering::Relaxed);
}

/// Ends the machine. Any context.
pub(crate) fn exit(ending: Ending) -> ! {
    let way = WAY.load(Ordering::Relaxed);
    if way == Way::IsaDebug as u8 {
        // SAFETY: the command line says that the debug exit device is at this port.
        unsafe { Port::new(DEBUG_EXIT).write(ending as u32) };
    }
    if way == Way::Bochs as u8 {
        console::last_words(|out| record::exit(out, ending.status()));
        for letter in BOCHS_WORD {
            // SAFETY: the command line says that this is Bochs, where the port has this one use.
            unsafe { Port::new(BOCHS_SHUTDOWN).write(*letter) };
        }
    }
    cpu::park()
}
