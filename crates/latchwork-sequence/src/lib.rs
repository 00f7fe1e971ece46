// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequences of rings, and how machines play and log them.
//!
//! The reference kernel plays a sequence on QEMU, the simulated machine plays the same one, and
//! `cargo xtask compare` compares what each logs, line by line. So that every difference comes from
//! the machines, both sides share everything else in this crate: what a seed stands for, what
//! handlers do, and the words of the log. Only the [`Subject`] differs: the library on a machine.
//!
//! Everything happens in one order. One CPU acts at a time, and the others have come to rest before
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

/// The most CPUs of a sequence.
pub const MAX_CPUS: usize = 2;
