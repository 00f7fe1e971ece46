// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recovering machine-wide events whose ring was lost.
//!
//! A dispatch that found a Local condition does not ask the Platform handlers: that would cost every PMI a
//! lock and slow reads. But its edge may be two, collapsed. So it [owes](debt) a poll. Each CPU's
//! [`tick`] pays a debt that is a tick period old, by a [`poll`] there and then or by an NMI to
//! itself; and so does an NMI that finds the debt overdue. Whoever fails to take the poll's
//! [lock](poll_lock) owes one too, and [defers](deferred) its edge where nothing else explains it.

pub(crate) mod debt;
pub(crate) mod deferred;
mod duties;
mod poll;
pub(crate) mod poll_lock;
mod stats;
mod tick;

pub(crate) use duties::Duties;
pub(crate) use poll::{Asked, Why};
pub(crate) use poll_lock::PollNumber;
pub(crate) use stats::RecoveryCounters;
pub use stats::RecoveryStats;

use crate::{
    error::LimitsError,
    grant::WideClaims,
    limits::{Limits, LimitsInForce},
    nmi::Nmi,
    platform::Platform,
    primitive::{Counter, Ordering, const_unless_loom},
    registry,
};
use debt::Debt;
use poll_lock::PollLock;

/// How a tick pays a debt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// It asks the Platform handlers there and then, with interrupts off, outside any NMI: no extra NMI,
    /// and nothing to absorb.
    #[default]
    Poll = 0,
    /// It sends its own CPU a [`Request::Probe`](crate::Request::Probe), so that the Platform handlers are
    /// asked in NMI context.
    ProbeNmi = 1,
}

/// What all CPUs share for it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hot: HotLine,
    pub(crate) polls: PollLock,
    pub(crate) limits: LimitsInForce,
    pub(crate) counters: RecoveryCounters,
    /// A setting: a stale one is that of a moment ago.
    mode: Counter,
}

/// The line that every NMI reads, and that changes at most a few times per tick.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct HotLine {
    pub(crate) debt: Debt,
    pub(crate) wide: WideClaims,
}

impl Shared {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                hot: HotLine { debt: Debt::new(), wide: WideClaims::new() },
                polls: PollLock::new(),
                limits: LimitsInForce::new(),
                counters: RecoveryCounters::new(),
                mode: Counter::new(Recovery::Poll as usize),
            }
        }
    }

    fn mode(&self) -> Recovery {
        if self.mode.load(Ordering::Relaxed) == Recovery::ProbeNmi as usize {
            Recovery::ProbeNmi
        } else {
            Recovery::Poll
        }
    }
}

impl<P: Platform> Nmi<P> {
    /// How debts are paid from now on: at first, [`Recovery::Poll`].
    pub fn set_recovery(&self, recovery: Recovery) {
        self.core.shared.mode.store(recovery as usize, Ordering::Relaxed);
    }

    /// Sets the times that grants and recovery go by: at first, [`Limits::BARE_METAL`]. Before
    /// handlers are registered that need them. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`LimitsError`]; nothing has changed then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), LimitsError> {
        registry::set_limits(&self.core, &self.platform, limits)
    }

    /// What recovery has done so far. **NMI-safe.**
    pub fn recovery_stats(&self) -> RecoveryStats {
        self.core.shared.counters.read()
    }
}
