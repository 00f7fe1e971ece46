// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequences of rings, and how machines play and log them.
//!
//! The reference kernel plays a sequence on QEMU, the simulated machine plays the same one, and
//! `cargo xtask compare` compares what each logs, line by line. So that a difference is one of the
//! machines, everything else is here, once: what a seed stands for, what handlers do, and the words
//! of the log. A [`Subject`] is what differs: the library on a machine.
//!
//! Whatever happens has one order. One CPU acts at a time, and the others have come to rest before
//! it goes on ([`Player`]). Time is either much shorter than any limit of the library's or much
//! longer ([`time`]).
#![no_std]

mod generate;
mod log;
mod player;
mod step;
mod subject;
mod tallies;
pub mod time;
mod turns;

#[cfg(test)]
mod tests;

pub use self::{
    generate::{MAX_STEPS, Sequence, generate},
    player::Player,
    step::{At, Deed, Place, Source, Step},
    subject::{Counts, Ending, Subject},
    tallies::Played,
};

/// The most CPUs that a sequence is played on.
pub const MAX_CPUS: usize = 2;
