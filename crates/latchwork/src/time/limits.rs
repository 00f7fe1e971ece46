// SPDX-License-Identifier: MIT OR Apache-2.0
//! The times by which grants and recovery go, and how many NMIs that nothing explains are a storm.

use core::{error::Error, fmt};

use crate::{
    contract::{InDispatch, Name},
    primitive::{Counter, Ordering},
};

/// How long an edge may stay explained, and how soon a CPU pays a debt. Each limit is a promise
/// about the machine, or to its users. A kernel that knows its machine better sets them by
/// [`Nmi::set_limits`](crate::Nmi::set_limits).
///
/// ```
/// use latchwork::Limits;
/// const SLOW_TICK: Limits =
///     Limits { tick_period_us: 4_000, overdue_us: 10_000, ..Limits::BARE_METAL };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long after the claim of its condition a ring may still reach its CPU, in microseconds.
    /// It holds for the rings of [`PerCondition`](crate::EdgeModel::PerCondition) doorbells and of
    /// finished software sends.
    ///
    /// One CPU may claim the condition and another take the ring, so this is also by how much the
    /// clocks of two CPUs [may differ](crate::Platform::now_ticks), the time that the ring takes
    /// included. If they differ by more, raise it by as much, and
    /// [`cap_us`](Self::cap_us) to more than twice that.
    pub late_us: u32,
    /// How long at most a CPU that can take NMIs absorbs edges after the deadline of its last
    /// claim, in microseconds, if neither ticks, nor NMIs, nor idling end its grants before.
    /// Nothing ever explains a ring that comes later than this after the claim of its condition.
    pub cap_us: u32,
    /// The period of the kernel's tick, in microseconds. No CPU pays a debt that is younger than
    /// this, so the machine polls at most once per tick, however many CPUs and NMIs there are.
    pub tick_period_us: u32,
    /// An NMI that finds a debt older than this pays it immediately, in microseconds; so a CPU
    /// whose interrupts stay off still recovers. At least two tick periods.
    pub overdue_us: u32,
    /// How long a software send that does not finish holds grants, in microseconds: its sender may
    /// be stuck, or be a virtual CPU that does not run. At most `cap_us`.
    pub hold_us: u32,
    /// If nothing explains more NMIs than this on one CPU within 100 ms, they are a
    /// [storm](crate::StormSource::Unclaimed). A healthy machine has no such NMI, so the default is
    /// low: 10. With 65,535 or more there is no storm.
    pub unknowns_per_100_ms: u32,
}

impl Limits {
    /// What to assume about hardware: the default. It fits every clock of up to 100 GHz.
    pub const BARE_METAL: Self = Self {
        late_us: 200,
        cap_us: 10_000,
        tick_period_us: 1_000,
        overdue_us: 4_000,
        hold_us: 10_000,
        unknowns_per_100_ms: 10,
    };

    /// What to assume under a hypervisor, where a virtual CPU may not run for a while. 32-bit
    /// targets refuse it where their clock has more than 1 GHz.
    pub const HYPERVISOR: Self = Self { cap_us: 1_000_000, hold_us: 1_000_000, ..Self::BARE_METAL };

    fn check(&self, ticks_per_ms: u64) -> Result<(), LimitsError> {
        let fields = [
            ("late_us", self.late_us),
            ("cap_us", self.cap_us),
            ("tick_period_us", self.tick_period_us),
            ("overdue_us", self.overdue_us),
            ("hold_us", self.hold_us),
            ("unknowns_per_100_ms", self.unknowns_per_100_ms),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, value)| *value == 0) {
            return Err(LimitsError::Zero { field });
        }
        if self.late_us > self.cap_us {
            return Err(LimitsError::LateBeyondCap);
        }
        if self.hold_us > self.cap_us {
            return Err(LimitsError::HoldBeyondCap);
        }
        if u64::from(self.overdue_us) < u64::from(self.tick_period_us).saturating_mul(2) {
            return Err(LimitsError::OverdueTooSoon);
        }
        let longest_us = self.cap_us.max(self.overdue_us).max(self.hold_us);
        if ticks_in(longest_us, ticks_per_ms) >= LONGEST_TICKS {
            return Err(LimitsError::TooLong { longest_us });
        }
        Ok(())
    }
}

/// The default is in force unchecked, so it fits the fastest clock, of 100 GHz, on every target.
const _: () = {
    const FASTEST_TICKS_PER_MS: u64 = 100_000_000;
    const LONGEST_US: u64 = 10_000;
    let it = Limits::BARE_METAL;
    assert!(it.cap_us as u64 <= LONGEST_US && it.hold_us as u64 <= LONGEST_US);
    assert!(it.overdue_us as u64 <= LONGEST_US);
    assert!(FASTEST_TICKS_PER_MS * LONGEST_US / 1_000 < u32::MAX as u64 / 4);
};

impl Default for Limits {
    fn default() -> Self {
        Self::BARE_METAL
    }
}

/// Far less than what a word that CPUs share can tell apart, and than what the multiplication below
/// can say.
const LONGEST_TICKS: u64 = if usize::BITS < 64 { usize::MAX as u64 / 4 } else { u64::MAX / 1_024 };

/// `us` microseconds in ticks, [`LONGEST_TICKS`] at most. On a clock slower than that, one tick.
pub(crate) fn ticks_in(us: u32, ticks_per_ms: u64) -> u64 {
    (ticks_per_ms.saturating_mul(us.into()) / 1_000).clamp(1, LONGEST_TICKS)
}

/// The limits in force. Ordinary context writes them, NMIs read them. Each is a setting by itself,
/// and a stale one is the setting of a moment ago.
#[derive(Debug)]
pub(crate) struct LimitsInForce {
    late_us: Counter,
    cap_us: Counter,
    tick_period_us: Counter,
    overdue_us: Counter,
    hold_us: Counter,
    unknowns_per_100_ms: Counter,
}

impl LimitsInForce {
    pub(crate) const fn new() -> Self {
        let limits = Limits::BARE_METAL;
        Self {
            late_us: Counter::new(limits.late_us as usize),
            cap_us: Counter::new(limits.cap_us as usize),
            tick_period_us: Counter::new(limits.tick_period_us as usize),
            overdue_us: Counter::new(limits.overdue_us as usize),
            hold_us: Counter::new(limits.hold_us as usize),
            unknowns_per_100_ms: Counter::new(limits.unknowns_per_100_ms as usize),
        }
    }

    pub(crate) fn set(&self, limits: Limits, ticks_per_ms: u64) -> Result<(), LimitsError> {
        limits.check(ticks_per_ms)?;
        self.late_us.store(limits.late_us as usize, Ordering::Relaxed);
        self.cap_us.store(limits.cap_us as usize, Ordering::Relaxed);
        self.tick_period_us.store(limits.tick_period_us as usize, Ordering::Relaxed);
        self.overdue_us.store(limits.overdue_us as usize, Ordering::Relaxed);
        self.hold_us.store(limits.hold_us as usize, Ordering::Relaxed);
        let unknowns = limits.unknowns_per_100_ms as usize;
        self.unknowns_per_100_ms.store(unknowns, Ordering::Relaxed);
        Ok(())
    }

    /// The cap, in microseconds.
    pub(crate) fn cap_us(&self) -> u32 {
        self.cap_us.load(Ordering::Relaxed) as u32
    }

    pub(crate) fn unknowns_per_100_ms(&self) -> usize {
        self.unknowns_per_100_ms.load(Ordering::Relaxed)
    }

    /// The limits in ticks of a clock.
    pub(crate) fn in_ticks(&self, ticks_per_ms: u64) -> InTicks<'_> {
        InTicks { limits: self, ticks_per_ms }
    }
}

/// The limits in force, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InTicks<'a> {
    limits: &'a LimitsInForce,
    ticks_per_ms: u64,
}

impl InTicks<'_> {
    fn ticks(self, us: &Counter) -> u64 {
        ticks_in(us.load(Ordering::Relaxed) as u32, self.ticks_per_ms)
    }

    pub(crate) fn late(self) -> u64 {
        self.ticks(&self.limits.late_us)
    }

    pub(crate) fn cap(self) -> u64 {
        self.ticks(&self.limits.cap_us)
    }

    pub(crate) fn tick_period(self) -> u64 {
        self.ticks(&self.limits.tick_period_us)
    }

    pub(crate) fn overdue(self) -> u64 {
        self.ticks(&self.limits.overdue_us)
    }

    pub(crate) fn hold(self) -> u64 {
        self.ticks(&self.limits.hold_us)
    }

    /// A lateness that a doorbell has named, but no longer than the cap.
    pub(crate) fn late_of(self, late_us: u32) -> u64 {
        ticks_in(late_us, self.ticks_per_ms).min(self.cap())
    }

    pub(crate) fn ms_to_ticks(self, ms: u32) -> u64 {
        ticks_in(ms.saturating_mul(1_000), self.ticks_per_ms)
    }
}

/// [`Nmi::set_limits`](crate::Nmi::set_limits) refused the limits; those in force stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsError {
    /// See [`InDispatch`]. Set the limits from ordinary context.
    InDispatch(InDispatch),
    /// A limit is 0, which would mean no time at all, or a storm without an NMI.
    Zero {
        /// The field of [`Limits`].
        field: &'static str,
    },
    /// `late_us` is more than `cap_us`.
    LateBeyondCap,
    /// `hold_us` is more than `cap_us`: a send would hold grants for longer than any may last.
    HoldBeyondCap,
    /// A registered handler has rings that come later than `cap_us` would let grants last.
    CapBelowHandler {
        /// The handler.
        handler: Name,
        /// How late its rings come, in microseconds.
        late_us: u32,
    },
    /// `overdue_us` is less than two tick periods, so that NMIs would do the tick's work.
    OverdueTooSoon,
    /// With this platform's clock the longest of the limits is too long for a machine word.
    TooLong {
        /// The longest of the limits, in microseconds.
        longest_us: u32,
    },
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: set limits from ordinary context"),
            Self::Zero { field } => write!(f, "{field} is 0: give at least 1"),
            Self::LateBeyondCap => {
                f.write_str("late_us is more than cap_us, which ends all grants: raise cap_us too")
            }
            Self::HoldBeyondCap => f.write_str(
                "hold_us is more than cap_us, the longest that a grant may last: raise cap_us too",
            ),
            Self::CapBelowHandler { handler, late_us } => write!(
                f,
                "cap_us would end grants before the {late_us} us that handler \"{handler}\" named: \
                 give at least that"
            ),
            Self::OverdueTooSoon => {
                f.write_str("overdue_us is less than two tick periods: give at least that")
            }
            Self::TooLong { longest_us } => {
                write!(f, "{longest_us} us are too many ticks for a machine word: give less")
            }
        }
    }
}

impl Error for LimitsError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let ok = Limits::BARE_METAL;
        assert_eq!(ok.check(1_000_000), Ok(()));
        let late = Limits { late_us: 10_001, ..ok };
        assert_eq!(late.check(1_000), Err(LimitsError::LateBeyondCap));
        let overdue = Limits { overdue_us: 1_999, ..ok };
        assert_eq!(overdue.check(1_000), Err(LimitsError::OverdueTooSoon));
        let hold = Limits { hold_us: 10_001, ..ok };
        assert_eq!(hold.check(1_000), Err(LimitsError::HoldBeyondCap));
        let long = Limits { overdue_us: u32::MAX, ..ok };
        let refused = Err(LimitsError::TooLong { longest_us: u32::MAX });
        assert_eq!(long.check(u64::MAX), refused);
    }

    #[test]
    fn microseconds_become_ticks() {
        assert_eq!(ticks_in(200, 1_000_000), 200_000);
        assert_eq!(ticks_in(200, 10), 2);
        assert_eq!(ticks_in(1, 10), 1, "never no time at all");
        assert_eq!(ticks_in(u32::MAX, u64::MAX), LONGEST_TICKS);
    }
}
