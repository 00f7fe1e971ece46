// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sequence that a seed stands for.

use core::fmt;

use crate::{
    step::{At, Deed, Place, Source, Step},
    time::MAX_PAUSES,
};

/// How many steps a sequence has at most.
pub const MAX_STEPS: usize = 20;

/// How many of them threads do, at least and at most.
const THREAD_STEPS: [usize; 2] = [3, 12];

/// How many of them handlers do at most.
const HANDLER_STEPS: usize = 7;

/// Handlers do something only when they are asked for the first few times.
const FIRST_LOOKS: usize = 3;

/// A sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    steps: [Option<Step>; MAX_STEPS],
    /// On how many CPUs.
    pub cpus: usize,
}

impl Sequence {
    /// Its steps: those of threads in their order, then those of handlers.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps.iter().copied().flatten()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps().enumerate() {
            if number != 0 {
                f.write_str("; ")?;
            }
            write!(f, "{step}")?;
        }
        Ok(())
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`, which is small and not 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn source(&mut self) -> Source {
        let place = self.below(Source::ALL.len());
        Source::ALL.get(place).copied().unwrap_or(Source::Local)
    }
}

/// The generator of a sequence, with the waits that are left to it.
struct Author {
    chance: Chance,
    cpus: usize,
    pauses: usize,
}

impl Author {
    /// A ring, which both threads and handlers make. CPU 0 rings both CPUs, CPU 1 only itself.
    fn ring(&mut self, by: usize) -> Deed {
        let to = if by == 0 { self.chance.below(self.cpus) } else { by };
        match self.chance.below(10) {
            0..3 => Deed::Send(to),
            3 => Deed::Ring(to),
            4 | 5 => Deed::Set(self.chance.source(), to),
            _ => match self.chance.source() {
                Source::Wide if by != 0 => Deed::Raise(Source::WideMany, to),
                source => Deed::Raise(source, to),
            },
        }
    }

    fn pause(&mut self) -> Option<Deed> {
        self.pauses = self.pauses.checked_sub(1)?;
        Some(Deed::Pause)
    }

    fn of_thread(&mut self, cpu: usize) -> Deed {
        let deed = match self.chance.below(20) {
            0..10 => None,
            10 | 11 => Some(Deed::Claim(self.chance.source())),
            12..15 => Some(Deed::Tick),
            15 => Some(Deed::Idle),
            16 => Some(Deed::Owe),
            17 | 18 => self.pause(),
            _ => Some(Deed::Outlive),
        };
        match deed {
            // A CPU that stays would make it very slow.
            Some(Deed::Outlive) if self.cpus > 1 => Deed::Release,
            Some(deed) => deed,
            None if cpu == 0 && self.cpus > 1 && self.chance.below(8) == 0 => Deed::Release,
            None => self.ring(cpu),
        }
    }

    fn of_handler(&mut self, cpu: usize) -> Deed {
        let deed = match self.chance.below(12) {
            0 => Some(Deed::Owe),
            1 => self.pause(),
            2 | 3 if cpu != 0 => Some(Deed::Stay),
            _ => None,
        };
        deed.unwrap_or_else(|| self.ring(cpu))
    }
}

/// The sequence of `seed` on `cpus` CPUs, 1 or [`MAX_CPUS`](crate::MAX_CPUS).
#[must_use]
pub fn generate(seed: u64, cpus: usize) -> Sequence {
    let mut author = Author { chance: Chance(seed), cpus, pauses: MAX_PAUSES };
    let mut sequence = Sequence { steps: [None; MAX_STEPS], cpus };
    let [least, most] = THREAD_STEPS;
    let of_threads = least + author.chance.below(most - least + 1);
    let of_handlers = author.chance.below(HANDLER_STEPS + 1);
    for (number, place) in sequence.steps.iter_mut().take(of_threads + of_handlers).enumerate() {
        let cpu = author.chance.below(cpus);
        *place = Some(if number < of_threads {
            let deed = author.of_thread(cpu);
            let cpu = if deed == Deed::Release { 0 } else { cpu };
            Step { place: Place { cpu, at: At::Thread }, deed }
        } else {
            let source = author.chance.source();
            let nth = 1 + author.chance.below(FIRST_LOOKS) as u8;
            let at = At::Asked { source, nth, after: author.chance.below(2) != 0 };
            Step { place: Place { cpu, at }, deed: author.of_handler(cpu) }
        });
    }
    sequence
}
