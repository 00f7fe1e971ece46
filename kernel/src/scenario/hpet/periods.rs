// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares claims with the periods of the main counter.
//!
//! Period *n* begins, and the timer is due for the *n*-th time, when the counter reaches *origin +
//! n × length*. The output is a level, so a status that is still set when the next period begins
//! stands for both. A period without a claim of its own is *merged* into the next claim, and the
//! notes show what was late.
//!
//! QEMU has two peculiarities:
//!
//! - If it serves a periodic timer in the very tick in which it is due, as under the instruction
//!   clock it always does, it does not count that as passed, and fires once more: an *echo*. Since
//!   9.1 it does so after [`ECHO_NS`], and the echo has a status of its own. Before, it did so
//!   after one tick of the main counter, when no CPU can have cleared the status yet (c9669d6d5741,
//!   "hpet: fix clamping of period").
//! - Its I/O APIC takes every raise of a line for an edge, even if the line is active. So if the
//!   timer fires again before the handler has cleared the status, an NMI may follow that has no
//!   condition.

use super::ticker::Note;

/// After how long QEMU since 9.1 lets a periodic timer fire again: its lower limit for a period.
pub(super) const ECHO_NS: u64 = 1_000;

/// Where a run's periods lie on the main counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Periods {
    /// The counter when the timer was started.
    pub(super) origin_ticks: u64,
    /// The length of a period.
    pub(super) length_ticks: u64,
    /// How long after the beginning of a period the timer may fire for the second time; `None` if
    /// it does not.
    pub(super) echo_ticks: Option<u64>,
    /// The mask for a difference of two counters: the counter may have only 32 bits.
    pub(super) counter_mask: u64,
}

/// The account of a run's notes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Claims that answer a period of their own, and others with it if those are merged.
    pub(super) first: u64,
    /// Claims of a second firing in the same period.
    pub(super) echoes: u64,
    /// Further claims in a period, which nothing explains.
    pub(super) repeated: u64,
    /// Periods merged because the timer was late: another period had begun, and the CPU saw the
    /// status not set.
    pub(super) merged_by_timer: u64,
    /// Periods merged because the CPU was late.
    pub(super) merged_by_cpu: u64,
    /// Claims before whose end the timer may have fired again: an NMI without a condition may
    /// follow each.
    pub(super) may_ring_again: u64,
    /// The last period that a claim answers.
    pub(super) answered: u64,
    /// How long a claim came at most after the beginning of the first period that it answers.
    pub(super) latest_ticks: u64,
}

impl Periods {
    /// How many periods had begun when the counter was `ticks`.
    pub(super) fn begun_at(&self, ticks: u64) -> u64 {
        self.since_origin(ticks) / self.length_ticks
    }

    fn since_origin(&self, ticks: u64) -> u64 {
        ticks.wrapping_sub(self.origin_ticks) & self.counter_mask
    }

    /// How long before `ticks` the period `number` began.
    fn since_begin(&self, number: u64, ticks: u64) -> u64 {
        self.since_origin(ticks).saturating_sub(number * self.length_ticks)
    }

    /// Reads the notes of one run, in their order.
    pub(super) fn account(&self, notes: impl Iterator<Item = Note>) -> Account {
        let mut account = Account::default();
        // The last period that had begun when the last claim was over: those that begin during a
        // claim may be merged into it.
        let mut over_in = 0;
        let mut last = Last::default();
        for note in notes {
            let period = self.begun_at(note.before_ticks);
            // The first period that the claim can answer.
            let mut due = account.answered + 1;
            if period > account.answered {
                last = self.add_first(&mut account, over_in, period, &note);
            } else if last.take_merged(&mut account) {
                due = period;
                account.first += 1;
            } else if self.is_echo(period, &note) && !last.echoed {
                account.echoes += 1;
                last.echoed = true;
            } else {
                account.repeated += 1;
            }
            over_in = self.begun_at(note.after_ticks);
            account.may_ring_again += u64::from(self.may_ring_again(due, &note));
        }
        if self.echo_ticks.is_some() && account.echoes == 0 {
            // Each echo came while the status was still set.
            account.may_ring_again = account.first;
        }
        account.merged_by_cpu += over_in.saturating_sub(account.answered);
        account.answered = account.answered.max(over_in);
        account
    }

    /// Whether the timer may have fired again before a claim was over that answers the period
    /// `due`.
    fn may_ring_again(&self, due: u64, note: &Note) -> bool {
        let again_ticks = self.echo_ticks.unwrap_or(self.length_ticks);
        self.since_begin(due, note.after_ticks) >= again_ticks
    }

    fn is_echo(&self, period: u64, note: &Note) -> bool {
        self.echo_ticks.is_some_and(|echo| self.since_begin(period, note.before_ticks) >= echo)
    }

    /// Adds the first claim in `period`; the claim before it was over in the period `over_in`.
    fn add_first(&self, account: &mut Account, over_in: u64, period: u64, note: &Note) -> Last {
        let in_last_claim = over_in.min(period - 1).saturating_sub(account.answered);
        let due = account.answered + in_last_claim + 1;
        let merged = period - due;
        let by_timer = self.begun_at(note.unset_ticks).saturating_sub(due).min(merged);
        let by_cpu = in_last_claim + merged - by_timer;
        account.first += 1;
        account.merged_by_timer += by_timer;
        account.merged_by_cpu += by_cpu;
        account.latest_ticks = account.latest_ticks.max(self.since_begin(due, note.before_ticks));
        account.answered = period;
        Last { merged_by_timer: by_timer, merged_by_cpu: by_cpu, echoed: false }
    }
}

/// The last claim that was the first in its period.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    merged_by_timer: u64,
    merged_by_cpu: u64,
    echoed: bool,
}

impl Last {
    /// Takes in another claim in the same period. If the account had the last claim answer more
    /// periods than one, that claim came before the late timer had fired for the last of them, and
    /// one period less was merged. Returns whether that is so.
    fn take_merged(&mut self, account: &mut Account) -> bool {
        if self.merged_by_cpu != 0 {
            account.merged_by_cpu -= 1;
        } else if self.merged_by_timer != 0 {
            account.merged_by_timer -= 1;
        } else {
            return false;
        }
        (self.merged_by_timer, self.merged_by_cpu) = (0, 0);
        true
    }
}
