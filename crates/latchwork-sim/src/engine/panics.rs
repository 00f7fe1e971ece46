// SPDX-License-Identifier: MIT OR Apache-2.0
//! Panics of simulated code.
//!
//! Where the profile unwinds (tests, and the profile `explore`) a panic of code on a simulated CPU
//! is a violation with a trace. Under `panic = "abort"` nothing can go on after it; then the hook
//! says where the execution was, and the process ends.

use std::{
    panic::{self, PanicHookInfo},
    sync::Once,
};

use super::runtime;

/// Has the engine keep panics on simulated CPUs instead of printing them. All others go to the hook
/// that was there before.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| match runtime::here() {
            Some((engine, cpu)) if cfg!(panic = "unwind") => {
                engine.panicked(cpu, panic_text(cpu.id, info));
            }
            Some((engine, cpu)) => {
                eprintln!("{}, at choice point {}", panic_text(cpu.id, info), engine.point.get());
                others(info);
            }
            None => others(info),
        }));
    });
}

fn panic_text(cpu: usize, info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let words = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("no words");
    format!("CPU {cpu} panicked{place}: {words}")
}
