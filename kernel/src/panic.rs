// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel panics.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::console;
use crate::cpu::area;
use crate::exit::{Ending, exit};

/// Panics reported so far: one inside the report must not report for ever.
static REPORTS: AtomicUsize = AtomicUsize::new(0);
const MOST_REPORTS: usize = 2;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if REPORTS.fetch_add(1, Ordering::Relaxed) >= MOST_REPORTS {
        exit(Ending::Panic);
    }
    console::last_words(|out| {
        let _ = match area::current_cpu() {
            Some(cpu) => writeln!(out, "PANIC on CPU {cpu}"),
            None => writeln!(out, "PANIC on a CPU without a number"),
        };
        if let Some(location) = info.location() {
            let _ = writeln!(out, "PANIC at {location}");
        }
        let _ = writeln!(out, "PANIC {}", info.message());
    });
    exit(Ending::Panic)
}
