// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removals that fail and leave the registration whole: the library asks the handler again, and a
//! later removal succeeds.
//!
//! On each CPU but CPU 0 a handler gets stuck, and CPU 0's removal gives up at its deadline: the
//! error names handler and CPU. On each CPU, CPU 0 included, an NMI asks for a removal that would
//! wait for that very NMI: the library refuses it, and the error names the CPU. There is no storm
//! meanwhile, so there is one CPU to name.

use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

use latchwork::{InDispatch, Registration, RemoveError, RemoveFailure};

use super::hand_over::{self, By, Order, Outcome, What};
use super::loader::{self, Loaded};
use super::rounds;
use crate::patience;
use crate::scenario::{Run, rings};
use crate::waiting::awaited;

const NAME: &str = "stuck-module";

/// The deadline. The handler stays stuck until CPU 0 releases it, so a short one will do.
const LIMIT_MS: u64 = 2;

/// How long CPU 0 spins for a call to begin before it sleeps.
const CALL_TURNS: u32 = 2_000;

/// The results of the removals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failed {
    /// Removals that gave up and whose error had handler, CPU and time right, in its fields and in
    /// its text.
    pub(super) named: u64,
    /// Registrations that were whole after that.
    pub(super) whole_after_deadline: u64,
    /// Removals in an NMI that were refused, by an error with the right CPU.
    pub(super) refused: u64,
    /// Registrations that were whole after that.
    pub(super) whole_after_refusal: u64,
}

/// A line of text, as far as there is room.
struct Line {
    bytes: [u8; 160],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes[self.len..].get_mut(..text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Whether the error says in words that `cpu` kept the handler.
fn reads_well(error: &RemoveError, cpu: usize) -> bool {
    let mut line = Line { bytes: [0; 160], len: 0 };
    let mut wanted = Line { bytes: [0; 160], len: 0 };
    let written = write!(line, "{error}").and(write!(wanted, "CPU {cpu} "));
    let texts = [line, wanted].map(|line| (line.bytes, line.len));
    let [text, cpu] = texts.each_ref().map(|(bytes, len)| core::str::from_utf8(&bytes[..*len]));
    match (written, text, cpu) {
        (Ok(()), Ok(text), Ok(cpu)) => text.contains(NAME) && text.contains(cpu),
        _ => false,
    }
}

/// Whether the library asks the handler again on `cpu`, and can remove it. Unloads the module.
fn is_whole(registration: Registration, loaded: Loaded, cpu: usize, cpus: usize) -> bool {
    let calls = || loaded.data().finished.load(Ordering::SeqCst);
    let before = calls();
    let answered = ring(cpu);
    let asked = answered && calls() == before + 1;
    let removed = registration.remove().is_ok();
    if removed {
        loaded.unload(cpus);
    }
    asked && removed
}

/// Rings `cpu` and waits for its answer. Returns whether it came.
fn ring(cpu: usize) -> bool {
    let before = rings::answered(cpu);
    rings::ring(0, cpu);
    rings::wait_answered(cpu, before + 1)
}

/// Removes a handler on CPU 0 within a limit, while the handler is stuck on `cpu`, unless
/// `unstuck`.
fn give_up(cpu: usize, cpus: usize, unstuck: bool, verdicts: &mut Failed) {
    let loaded = loader::load();
    let registration = rounds::register(NAME, &loaded);
    loaded.data().stuck.store(u64::from(!unstuck), Ordering::SeqCst);

    let before = rings::answered(cpu);
    rings::ring(0, cpu);
    let called = || loaded.data().begun.load(Ordering::SeqCst) != 0;
    let call = awaited!("CPU {} to call the handler", cpu);
    let _ = patience::spin_until(call, called, CALL_TURNS) || patience::sleep_until(call, called);
    let attempt = registration.remove_within_ms(LIMIT_MS);
    loaded.data().stuck.store(0, Ordering::SeqCst);
    rings::wait_answered(cpu, before + 1);

    let Err(error) = attempt else {
        loaded.unload(cpus);
        return;
    };
    let named = matches!(
        error.failure,
        RemoveFailure::StillRunning { handler, cpu: named, waited_ms: LIMIT_MS }
            if named == cpu && handler.as_str() == NAME
    );
    verdicts.named += u64::from(named && reads_well(&error, cpu));
    let whole = is_whole(error.registration, loaded, cpu, cpus);
    verdicts.whole_after_deadline += u64::from(whole);
}

/// Tries a removal that would wait for itself: in an NMI on `cpu`, or by a thread if `outside`.
fn refuse(cpu: usize, cpus: usize, outside: bool, verdicts: &mut Failed) {
    let loaded = loader::load();
    let registration = rounds::register(NAME, &loaded);
    let answer = if outside {
        registration.remove_within_ms(LIMIT_MS)
    } else {
        let order = Order {
            cpu,
            by: By::Another,
            what: What::RemoveAndWait,
            on_top_of_writer: false,
            first_page: loaded.first_page(),
        };
        hand_over::offer(order, registration);
        ring(cpu);
        match hand_over::collect() {
            Some(Outcome::Answer(answer)) => answer,
            _ => return,
        }
    };
    let Err(error) = answer else {
        loaded.unload(cpus);
        return;
    };
    let named = error.failure == RemoveFailure::InDispatch(InDispatch { cpu });
    verdicts.refused += u64::from(named);
    let whole = is_whole(error.registration, loaded, cpu, cpus);
    verdicts.whole_after_refusal += u64::from(whole);
}

/// Tries all of them. CPU 0; the others idle.
pub(super) fn play(run: &Run) -> Failed {
    let mut verdicts = Failed::default();
    for cpu in 1..run.cpus {
        give_up(cpu, run.cpus, run.has_fault("unstuck"), &mut verdicts);
    }
    for cpu in 0..run.cpus {
        refuse(cpu, run.cpus, run.has_fault("asked-outside"), &mut verdicts);
    }
    verdicts
}
