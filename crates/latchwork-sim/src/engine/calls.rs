// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the code on simulated CPUs calls.

use super::{
    memory::{Kind, seen},
    runtime::{here, in_progress},
    touches::Touches,
    world::Access,
};

/// The result of a hardware access, as 64 bits of what its caller learns.
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

/// The simulated CPU that this code runs on; `None` in the building of a world and in an event.
#[must_use]
pub fn this_cpu() -> Option<usize> {
    here().map(|(_, cpu)| cpu.id)
}

/// An access to hardware: a choice point, then `act`, whose result becomes part of what this CPU
/// knows. Where no CPU runs, it only calls `act`.
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

/// `MFENCE`: drains older stores to memory before the CPU does anything younger.
pub fn memory_fence() {
    if let Some((engine, cpu)) = here() {
        engine.full_fence(cpu);
    }
}

/// Records that this CPU's code has learned `value` without a choice point, as by reading the
/// clock.
pub fn observe(value: u64) {
    if let Some((engine, cpu)) = here() {
        engine.does(Touches::CLOCK);
        cpu.learned(value);
    }
}

/// Records that the code of this CPU does `what`, too: it changes the world or reports to the
/// monitors without an access to hardware, or by an access that does more than others.
pub fn acts(what: Touches) {
    if let Some((engine, _)) = here() {
        engine.does(what);
    }
}

/// A turn of a busy wait. The CPU goes on only after another context, or an event, has changed
/// something. If every CPU waits and no event can happen, that is a deadlock.
///
/// A wait carries nothing from one turn to the next but what it reads and [`observe`]s: a turn that
/// saw just what the turn before saw leaves no trace.
///
/// # Panics
///
/// Where no simulated CPU runs: nothing would ever end the wait.
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

/// Adds a line to the timeline, in the column of a CPU or, if `column` is the number of CPUs, in
/// the machine's. It costs nothing when no timeline is recorded.
pub fn note(column: usize, text: impl FnOnce() -> String) {
    if let Some(engine) = in_progress() {
        engine.recorder.note(engine.point.get(), column, text);
    }
}

/// Whether a timeline is recorded.
#[must_use]
pub fn is_recorded() -> bool {
    in_progress().is_some_and(|engine| engine.recorder.wants_notes())
}

/// Looks at the world from outside, for a note: `read` sees what lies in memory, without choice
/// points and not as any CPU. It must change nothing.
pub fn peek<R>(read: impl FnOnce() -> R) -> R {
    let Some((engine, cpu)) = here() else { return read() };
    engine.set_current(None);
    let seen = read();
    engine.set_current(Some(cpu));
    seen
}

/// Says that the base context of this CPU knows nothing but what is in memory and in the world's
/// [`fold`](super::World::fold), so that its history begins anew. It does nothing in an
/// interruption.
pub fn at_rest() {
    if let Some((engine, cpu)) = here() {
        cpu.forget(engine.changes.get());
    }
}

/// How many accesses, to memory and hardware, this CPU has made since the execution began, its
/// interruptions included. Use it for differences only: an absolute count does not belong in
/// `fold`.
#[must_use]
pub fn accesses() -> usize {
    here().map_or(0, |(_, cpu)| cpu.accesses.get())
}
