// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions. The kernel expects one: the page fault of a read that may fault ([`probe`]). Each
//! other one ends the kernel with a report, or, if a scenario looks for it, with that scenario's
//! verdict ([`late_call`]).

use core::fmt::Write;
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::registers::control::{Cr2, Cr3};

use super::stubs::{GENERAL_NAMES, TrapFrame};
use crate::console;
use crate::cpu::{area, stacks};
use crate::exit::{Ending, exit};
use crate::paging::probe;
use crate::scenario::module_unload::late_call;

pub(crate) const BREAKPOINT: u8 = 3;
pub(crate) const PAGE_FAULT: u8 = 14;

/// Exceptions reported so far: a report that faults itself must not report for ever.
static REPORTS: AtomicUsize = AtomicUsize::new(0);
const MOST_REPORTS: usize = 2;

const NAMES: [&str; 32] = [
    "#DE divide error",
    "#DB debug",
    "NMI",
    "#BP breakpoint",
    "#OF overflow",
    "#BR bound range exceeded",
    "#UD invalid opcode",
    "#NM no math coprocessor",
    "#DF double fault",
    "coprocessor segment overrun",
    "#TS invalid TSS",
    "#NP segment not present",
    "#SS stack-segment fault",
    "#GP general protection",
    "#PF page fault",
    "reserved",
    "#MF math fault",
    "#AC alignment check",
    "#MC machine check",
    "#XM SIMD floating point",
    "#VE virtualization",
    "#CP control protection",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "#HV hypervisor injection",
    "#VC VMM communication",
    "#SX security",
    "reserved",
];

/// Handles the exception. Any context, an NMI included.
pub(super) fn handle(vector: u8, frame: &mut TrapFrame) {
    if vector == PAGE_FAULT && probe::resume(frame) {
        return;
    }
    late_call::end_if_late(vector, Cr2::read_raw(), frame.rip);
    report(vector, frame)
}

/// Reports the exception and ends the kernel.
fn report(vector: u8, frame: &TrapFrame) -> ! {
    if REPORTS.fetch_add(1, Ordering::Relaxed) >= MOST_REPORTS {
        exit(Ending::Panic);
    }
    console::last_words(|out| {
        // Writing to the port cannot fail.
        let _ = describe(out, vector, frame);
    });
    exit(Ending::Panic)
}

fn describe(out: &mut dyn Write, vector: u8, frame: &TrapFrame) -> core::fmt::Result {
    let name = NAMES.get(usize::from(vector)).copied().unwrap_or("unnamed");
    match area::current_cpu() {
        Some(cpu) => writeln!(out, "PANIC exception {vector} ({name}) on CPU {cpu}")?,
        None => writeln!(out, "PANIC exception {vector} ({name}) on a CPU without a number")?,
    }
    let fault_address = Cr2::read_raw();
    writeln!(
        out,
        "PANIC error code {:#x}, RIP {:#018x}, CR2 {fault_address:#018x}, CR3 {:#x}",
        frame.error_code,
        frame.rip,
        Cr3::read_raw().0.start_address(),
    )?;
    writeln!(
        out,
        "PANIC CS {:#x}, SS {:#x}, RFLAGS {:#x}, RSP {:#018x}",
        frame.cs, frame.ss, frame.rflags, frame.rsp
    )?;
    if vector == PAGE_FAULT {
        if let Some(cpu) = stacks::guarded_cpu(fault_address as usize) {
            writeln!(out, "PANIC a stack of CPU {cpu} overflowed into its guard page")?;
        }
    }
    for (names, values) in GENERAL_NAMES.chunks(3).zip(frame.general.chunks(3)) {
        write!(out, "PANIC")?;
        for (name, value) in names.iter().zip(values) {
            write!(out, "  {name:>3} {value:#018x}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
