// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of the scenario by a late call: an exception in an NMI, at an address in the window.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::loader::{self, Place};
use super::module::CALLS;
use crate::console;
use crate::cpu::area;
use crate::exit::{Ending, exit};
use crate::nmi::NMI;
use crate::paging::window;
use crate::record::{self, Check};
use crate::scenario::{removals, rings, stats, totals};
use crate::trap::exception::{BREAKPOINT, PAGE_FAULT};

/// CPUs that take part; 0 while nothing is loaded in the window. Written by the scenario before its
/// first module.
static WATCHED_CPUS: AtomicUsize = AtomicUsize::new(0);

/// From now on such an exception is a late call, on `cpus` CPUs.
pub(super) fn watch(cpus: usize) {
    WATCHED_CPUS.store(cpus, Ordering::Relaxed);
}

/// If the exception is a late call, reports a failed check and ends the kernel in order. Any
/// context.
///
/// A late call faults on a page that is gone: `fault_address` of a page fault lies in the window.
/// Or it runs into the poison in a frame that its CPU still has in its TLB: `rip` of a breakpoint,
/// which points behind the INT3, lies in the window.
pub(crate) fn end_if_late(vector: u8, fault_address: u64, rip: u64) {
    let address = match vector {
        PAGE_FAULT => fault_address,
        BREAKPOINT => rip.wrapping_sub(1),
        _ => return,
    };
    let cpus = WATCHED_CPUS.load(Ordering::Relaxed);
    let Some(page) = window::page_of(address as usize) else {
        return;
    };
    if cpus == 0 || !NMI.in_nmi() {
        return;
    }
    console::last_words(|out| {
        let what = match vector {
            BREAKPOINT => "ran into poison",
            _ if fault_address == rip => "faulted fetching code",
            _ => "faulted using data",
        };
        let cpu = area::current_cpu().unwrap_or(usize::MAX);
        let Place { part, module } =
            loader::place_of(page).unwrap_or(Place { part: "unused", module: 0 });
        let stats = stats(cpus);
        let lost = rings::sent().saturating_sub(stats.requests as u64);
        record::ended_by(
            out,
            &Check {
                name: "no-late-call",
                held: false,
                expected: format_args!(
                    "0 calls that touch a page of the module after it is unmapped"
                ),
                saw: format_args!(
                    "CPU {cpu} {what} at {address:#x}, RIP {rip:#x}: the {part} page of module \
                     {module}, after {} removals and \
                     {} calls",
                    removals::ended(),
                    CALLS.get()
                ),
            },
            &totals(&stats, lost),
        );
    });
    exit(Ending::InOrder)
}
