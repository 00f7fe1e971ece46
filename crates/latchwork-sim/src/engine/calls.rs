// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the code on simulated CPUs calls.

use super::{
    memory::{Kind, seen},
    runtime::{here, in_progress},
    touches::Touches,
    world::Access,
};

/// What a hardware access gives back, as 64 bits of what its caller learns.
pub trait Observed {
    /// The bits.
    fn observed(&self) -> u64;
}

macro_rules! observed_integers {
    ($($integer:ty),*) => {$(
        impl Observed for $integer {
            fn observed(&self) -> u64 { *self as u64 }
        }
    )*};
}

observed_integers!(u8, u16, u32, u64, usize, bool);

impl Observed for () {
    fn observed(&self) -> u64 {
        0
    }
}

impl<T: Observed> Observed for Option<T> {
    fn observed(&self) -> u64 {
        self.as_ref().map_or(u64::MAX, |value| value.observed().wrapping_add(1))
    }
}

/// The simulated CPU that this code runs on; none while a world is built, or in an event.
#[must_use]
pub fn this_cpu() -> Option<usize> {
    here().map(|(_, cpu)| cpu.id)
}

/// An access to hardware: a choice point, then `act`. What it returns becomes part of what this CPU
/// knows. Where no CPU runs, only `act`.
pub fn hardware<R: Observed>(what: Access, act: impl FnOnce() -> R) -> R {
    let Some((engine, cpu)) = here() else { return act() };
    engine.choice_point(cpu);
    if what.drains() {
        engine.drain(cpu);
    }
    engine.does(Touches::HARDWARE);
    let result = act();
    let changes = what.changes();
    if changes {
        engine.changed();
    }
    cpu.saw(seen(Kind::Hardware, what as usize, result.observed()), changes);
    result
}

/// `MFENCE`: older stores are in memory before anything younger is done.
pub fn memory_fence() {
    if let Some((engine, cpu)) = here() {
        engine.full_fence(cpu);
    }
}

/// Something that this CPU's code has learned without a choice point, such as a reading of the
/// clock.
pub fn observe(value: u64) {
    if let Some((engine, cpu)) = here() {
        engine.does(Touches::CLOCK);
        cpu.learned(value);
    }
}

/// The code of this CPU does this, too: it changes something of the world, or tells those who
/// judge, without an access to hardware, or such an access does more than others.
pub fn acts(what: Touches) {
    if let Some((engine, _)) = here() {
        engine.does(what);
    }
}

/// A turn of a busy wait. The CPU goes on only after another context, or an event, has changed
/// something; if everybody waits and nothing can happen, that is a deadlock.
///
/// A wait carries nothing from one turn to the next but what it reads and [`observe`]s: a turn that
/// saw just what the turn before saw leaves no trace.
///
/// # Panics
///
/// Where no simulated CPU runs: nobody would ever end the wait.
pub fn relax() {
    if let Some((engine, cpu)) = here() {
        engine.relax(cpu);
        return;
    }
    let unwinding = in_progress().and_then(|engine| Some((engine, engine.unwinding.get()?)));
    match unwinding {
        Some((engine, cpu)) => engine.stop_here(cpu),
        None => panic!("a busy wait where no simulated CPU runs"),
    }
}

/// A line in the timeline, in the column of a CPU or, with the number of CPUs, in the machine's.
/// Free when nobody records.
pub fn note(column: usize, text: impl FnOnce() -> String) {
    if let Some(engine) = in_progress() {
        engine.recorder.note(engine.point.get(), column, text);
    }
}

/// Whether somebody records a timeline.
#[must_use]
pub fn is_recorded() -> bool {
    in_progress().is_some_and(|engine| engine.recorder.wants_notes())
}

/// Looks at the world from outside, for a note: what `read` reads is what lies in memory, no choice
/// point, and no CPU's. It must change nothing.
pub fn peek<R>(read: impl FnOnce() -> R) -> R {
    let Some((engine, cpu)) = here() else { return read() };
    engine.set_current(None);
    let seen = read();
    engine.set_current(Some(cpu));
    seen
}

/// The base context of this CPU goes on by nothing but what is in memory and in the world's
/// [`fold`](super::World::fold): its history begins anew. No-op in an interruption.
pub fn at_rest() {
    if let Some((engine, cpu)) = here() {
        cpu.forget(engine.changes.get());
    }
}

/// How many accesses, to memory and hardware, this CPU has made since the execution began, its
/// interruptions included. For differences only: an absolute count does not belong into `fold`.
#[must_use]
pub fn accesses() -> usize {
    here().map_or(0, |(_, cpu)| cpu.accesses.get())
}
