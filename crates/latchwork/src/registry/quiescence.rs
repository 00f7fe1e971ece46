// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quiescence: the moment after which no CPU can still be inside a removed handler.
//!
//! A wait walks the CPUs once, in order. It passes a CPU that it sees outside dispatch, or whose
//! generation has moved since the wait first looked at it. It remembers one observation, that of
//! the CPU at which it stands. So it needs no memory per CPU, and a ticket or a slot can carry it.
//! A dispatch that begins after the wait has begun never delays it beyond the walk: that dispatch
//! cannot find the handler any more, and its generation tells it apart.

use crate::{cpu::PerCpu, read_word::Observed};

/// A wait for quiescence, in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiescence {
    passed_cpus: usize,
    standing_at: Option<Observed>,
}

impl Quiescence {
    /// Starts a wait.
    ///
    /// The caller has published what makes the handler unreachable and has then executed
    /// `fence(SeqCst)`, the partner of the fence in `ReadWord::enter`.
    pub(crate) const fn begin() -> Self {
        Self { passed_cpus: 0, standing_at: None }
    }

    /// Goes on as far as it can without waiting. NMI-safe.
    ///
    /// # Errors
    ///
    /// The number of the CPU that is still inside a dispatch older than this wait.
    pub(crate) fn advance(&mut self, cpus: &[PerCpu]) -> Result<(), usize> {
        while let Some(cpu) = cpus.get(self.passed_cpus) {
            let now = cpu.own.read.observe();
            let moved = self.standing_at.is_some_and(|then| now.has_moved_since(then));
            if !now.is_outside() && !moved {
                self.standing_at.get_or_insert(now);
                return Err(self.passed_cpus);
            }
            self.passed_cpus = self.passed_cpus.wrapping_add(1);
            self.standing_at = None;
        }
        Ok(())
    }
}
