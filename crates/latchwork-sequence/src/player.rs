// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays a sequence on a machine, and logs what happens.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use crate::{
    MAX_CPUS,
    generate::{Sequence, generate},
    log::Log,
    step::{At, Deed, Source, Step},
    subject::{Counts, Ending, Subject},
    tallies::{Played, Tallies, add, subtract},
    time::{LONG_US, PAUSE_US},
    turns::{Turn, Turns},
};

/// The waits after which each CPU ticks at the end: grants end, and ticks pay owed polls.
const WAITS_AT_THE_END_US: [u32; 3] = [LONG_US, PAUSE_US, PAUSE_US];

const SOURCES: usize = Source::ALL.len();

/// The state of one CPU.
#[derive(Debug)]
struct Seat {
    /// The conditions of its own sources; the machine's are CPU 0's.
    conditions: [AtomicBool; SOURCES],
    /// How often each handler has been asked here.
    looks: [AtomicU8; SOURCES],
    /// How many NMIs it is in.
    depth: AtomicUsize,
    /// How many handlers it is in, in NMIs or not.
    handlers: AtomicUsize,
    /// What the library's statistics said when they were last noted.
    noted: [AtomicUsize; Counts::CPU.len()],
}

/// Plays one sequence after the other.
///
/// One CPU at a time uses its state, as `Turns` ensures, except for an NMI on top of its own CPU's
/// thread. So all accesses to it are relaxed.
#[derive(Debug)]
pub struct Player {
    seed: AtomicU64,
    cpus: AtomicUsize,
    logs: AtomicBool,
    seats: [Seat; MAX_CPUS],
    machine_noted: [AtomicUsize; Counts::MACHINE.len()],
    tallies: Tallies,
    turns: Turns,
    log: Log,
}

/// The element of `source`, of an array with one for each source.
fn of_source<T>(each: &[T; SOURCES], source: Source) -> &T {
    let [local, local_many, wide, wide_many] = each;
    match source {
        Source::Local => local,
        Source::LocalMany => local_many,
        Source::Wide => wide,
        Source::WideMany => wide_many,
    }
}

impl Player {
    /// A player without a sequence.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seed: AtomicU64::new(0),
            cpus: AtomicUsize::new(1),
            logs: AtomicBool::new(false),
            seats: [const {
                Seat {
                    conditions: [const { AtomicBool::new(false) }; SOURCES],
                    looks: [const { AtomicU8::new(0) }; SOURCES],
                    depth: AtomicUsize::new(0),
                    handlers: AtomicUsize::new(0),
                    noted: [const { AtomicUsize::new(0) }; Counts::CPU.len()],
                }
            }; MAX_CPUS],
            machine_noted: [const { AtomicUsize::new(0) }; Counts::MACHINE.len()],
            tallies: Tallies::new(),
            turns: Turns::new(),
            log: Log::new(),
        }
    }

    /// Sets up the sequence of `seed` on `cpus` CPUs, which each CPU then [plays](Self::play).
    /// Called while no sequence is played.
    pub fn begin(&self, seed: u64, cpus: usize) {
        self.seed.store(seed, Ordering::Relaxed);
        self.cpus.store(cpus.clamp(1, MAX_CPUS), Ordering::Relaxed);
        for seat in &self.seats {
            seat.conditions.iter().for_each(|condition| condition.store(false, Ordering::Relaxed));
            seat.looks.iter().for_each(|looks| looks.store(0, Ordering::Relaxed));
        }
        self.tallies.reset();
        self.log.clear();
        self.turns.reset();
    }

    /// The result. Called while no sequence is played.
    pub fn played(&self) -> Played {
        let is_left = |condition: &&AtomicBool| condition.load(Ordering::Relaxed);
        let left = self.seats.iter().flat_map(|seat| &seat.conditions).filter(is_left).count();
        self.tallies.read(left, self.log.torn())
    }

    /// The log, line by line, with `; ` in between. Called while no sequence is played.
    pub fn log(&self) -> impl fmt::Display + '_ {
        &self.log
    }

    /// The sequence in progress.
    pub fn sequence(&self) -> Sequence {
        generate(self.seed.load(Ordering::Relaxed), self.cpus.load(Ordering::Relaxed))
    }

    /// Plays the part of `cpu`, which is this CPU. Each CPU that takes part calls it once, in a
    /// thread, with interrupts off. It begins with the same waits as it ends with, unlogged, so
    /// that no grant or debt from before is left.
    pub fn play(&self, subject: &impl Subject, cpu: usize) {
        if cpu == 0 {
            self.lead(subject);
            if self.cpus.load(Ordering::Relaxed) > 1 {
                self.turns.end(subject);
            }
            return;
        }
        while let Turn::Do(step) = self.turns.next(subject) {
            match self.sequence().steps().nth(step) {
                Some(step) => self.take(subject, cpu, step),
                None => self.tick_at_the_end(subject, cpu),
            }
        }
    }

    fn lead(&self, subject: &impl Subject) {
        self.logs.store(false, Ordering::Relaxed);
        self.settle(subject);
        self.logs.store(true, Ordering::Relaxed);
        for (number, step) in self.sequence().steps().enumerate() {
            match step.place {
                place if place.at != At::Thread => {}
                place if place.cpu == 0 => self.take(subject, 0, step),
                _ if self.turns.stays() => self.say(format_args!("0 skips [{step}]")),
                _ => self.turns.order(subject, number),
            }
        }
        while self.turns.stays() {
            self.turns.release(subject);
        }
        self.settle(subject);
        self.logs.store(false, Ordering::Relaxed);
    }

    /// Lets all grants end, and ticks pay all owed polls. CPU 0's thread.
    fn settle(&self, subject: &impl Subject) {
        const NO_STEP: usize = usize::MAX - 1;
        for wait_us in WAITS_AT_THE_END_US {
            subject.pass_us(wait_us, false);
            for cpu in 0..self.cpus.load(Ordering::Relaxed) {
                match cpu {
                    0 => self.tick_at_the_end(subject, 0),
                    _ => self.turns.order(subject, NO_STEP),
                }
                while self.turns.stays() {
                    self.turns.release(subject);
                }
            }
        }
    }

    fn tick_at_the_end(&self, subject: &impl Subject, cpu: usize) {
        subject.tick();
        self.note_counts(subject, cpu, Some("ticked at the end"));
    }

    fn take(&self, subject: &impl Subject, cpu: usize, step: Step) {
        self.say(format_args!("{step}"));
        self.act(subject, cpu, step.deed);
        add(&self.tallies.steps, 1);
        if !self.is_busy(cpu) {
            self.note_counts(subject, cpu, None);
        }
    }

    fn act(&self, subject: &impl Subject, cpu: usize, deed: Deed) {
        let busy = self.is_busy(cpu);
        match deed {
            Deed::Send(to) => {
                if subject.send(to) {
                    add(&self.tallies.rings, 1);
                    add(&self.tallies.sends, 1);
                } else {
                    self.say(format_args!("{cpu} could not send"));
                }
                self.let_rest(subject, cpu, to);
            }
            Deed::Ring(to) => self.ring(subject, cpu, to),
            Deed::Set(source, of) => self.set(source, of),
            Deed::Raise(source, of) => {
                self.set(source, of);
                let cpus = self.cpus.load(Ordering::Relaxed);
                for to in (0..cpus).rev().filter(|to| source.rings(*to, of, cpus)) {
                    self.ring(subject, cpu, to);
                }
            }
            Deed::Owe => subject.owe_poll(),
            Deed::Pause => subject.pass_us(PAUSE_US, busy),
            Deed::Outlive => subject.pass_us(LONG_US, busy),
            Deed::Claim(source) if self.condition(cpu, source).load(Ordering::Relaxed) => {
                subject.claim_outside_nmi(source, &mut || {
                    self.asked(subject, cpu, source);
                });
            }
            Deed::Claim(_) => {}
            Deed::Tick => subject.tick(),
            Deed::Idle => subject.idle(),
            Deed::Stay => self.turns.stay(subject),
            Deed::Release => self.turns.release(subject),
        }
    }

    fn ring(&self, subject: &impl Subject, cpu: usize, to: usize) {
        add(&self.tallies.rings, 1);
        subject.ring(to);
        self.let_rest(subject, cpu, to);
    }

    /// CPU `by` has rung CPU `to`.
    fn let_rest(&self, subject: &impl Subject, by: usize, to: usize) {
        if by != to {
            self.turns.let_it_rest(subject, self.is_busy(by));
        }
    }

    /// Whether `cpu` must not let maskable interrupts in.
    fn is_busy(&self, cpu: usize) -> bool {
        let seat = self.seat(cpu);
        seat.depth.load(Ordering::Relaxed) + seat.handlers.load(Ordering::Relaxed) != 0
    }

    fn seat(&self, cpu: usize) -> &Seat {
        let [first, second] = &self.seats;
        if cpu == 0 { first } else { second }
    }

    fn depth(&self, cpu: usize) -> usize {
        self.seat(cpu).depth.load(Ordering::Relaxed)
    }

    fn condition(&self, cpu: usize, source: Source) -> &AtomicBool {
        let cpu = if source.is_local() { cpu } else { 0 };
        of_source(&self.seat(cpu).conditions, source)
    }

    fn set(&self, source: Source, of: usize) {
        if !self.condition(of, source).swap(true, Ordering::Relaxed) {
            add(&self.tallies.sets, 1);
        }
    }

    /// Sets the condition again that `cpu` has just claimed: its handler has not cleared it.
    pub fn forget_claim(&self, cpu: usize, source: Source) {
        self.condition(cpu, source).store(true, Ordering::Relaxed);
    }

    /// The library asks the handler of `source` on `cpu`, which is this CPU. Returns whether it
    /// claims. NMI-safe.
    pub fn asked(&self, subject: &impl Subject, cpu: usize, source: Source) -> bool {
        let seat = self.seat(cpu);
        let looks = of_source(&seat.looks, source);
        add(&seat.handlers, 1);
        let nth = looks.load(Ordering::Relaxed).saturating_add(1);
        if self.logs.load(Ordering::Relaxed) {
            looks.store(nth, Ordering::Relaxed);
        }
        self.take_steps_at(subject, cpu, At::Asked { source, nth, after: false });
        let claims = self.condition(cpu, source).swap(false, Ordering::Relaxed);
        if claims {
            add(&self.tallies.claims, 1);
            self.say(format_args!("{cpu} claims {source}"));
        }
        self.take_steps_at(subject, cpu, At::Asked { source, nth, after: true });
        subtract(&seat.handlers, 1);
        claims
    }

    fn take_steps_at(&self, subject: &impl Subject, cpu: usize, at: At) {
        if !self.logs.load(Ordering::Relaxed) {
            return;
        }
        let is_here = |step: &Step| step.place.cpu == cpu && step.place.at == at;
        for step in self.sequence().steps().filter(is_here) {
            // A poll outside NMIs asks handlers too, and a CPU that stays there would still take
            // NMIs.
            let is_out_of_place = step.deed == Deed::Stay && self.depth(cpu) == 0;
            if !is_out_of_place {
                self.take(subject, cpu, step);
            }
        }
    }

    /// Calls `dispatch` in an NMI of `cpu`, which is this CPU.
    pub fn nmi<S: Subject, R>(
        &self,
        subject: &S,
        cpu: usize,
        dispatch: impl FnOnce() -> (Ending, R),
    ) -> R {
        self.say(format_args!("{cpu} NMI"));
        let seat = self.seat(cpu);
        add(&seat.depth, 1);
        let (ending, result) = dispatch();
        subtract(&seat.depth, 1);
        if self.logs.load(Ordering::Relaxed) {
            add(&self.tallies.dispatches, 1);
        }
        self.note_counts(subject, cpu, Some(ending.name()));
        result
    }

    /// Logs which of the library's statistics have changed.
    fn note_counts(&self, subject: &impl Subject, cpu: usize, when: Option<&str>) {
        if let Some(when) = when {
            self.say(format_args!("{cpu} {when}"));
        }
        let counts = subject.counts(cpu);
        self.note_each(cpu, &Counts::CPU, &self.seat(cpu).noted, &counts.cpu);
        self.note_each(cpu, &Counts::MACHINE, &self.machine_noted, &counts.machine);
    }

    fn note_each(&self, cpu: usize, names: &[&str], noted: &[AtomicUsize], counts: &[usize]) {
        for ((name, noted), now) in names.iter().zip(noted).zip(counts) {
            let more = now.wrapping_sub(noted.swap(*now, Ordering::Relaxed));
            if more == 0 || !self.logs.load(Ordering::Relaxed) {
                continue;
            }
            self.say(format_args!("{cpu} {name} +{more}"));
            match *name {
                "unknown" => add(&self.tallies.unknown, more),
                "deferred" => add(&self.tallies.deferred, more),
                "absorbed" => add(&self.tallies.absorbed, more),
                _ => {}
            }
        }
    }

    fn say(&self, text: fmt::Arguments<'_>) {
        if self.logs.load(Ordering::Relaxed) {
            self.log.note(text);
        }
    }
}

impl Default for Player {
    fn default() -> Self {
        Self::new()
    }
}
