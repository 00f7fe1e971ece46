// SPDX-License-Identifier: MIT OR Apache-2.0
//! How debts are paid, by which times, and what came of it.

use super::{mode::Recovery, stats::RecoveryStats};
use crate::{
    contract::Platform,
    nmi::Nmi,
    primitive::Ordering,
    time::{Limits, LimitsError},
};

impl<P: Platform> Nmi<P> {
    /// How debts are paid from now on: at first, [`Recovery::Poll`].
    pub fn set_recovery(&self, recovery: Recovery) {
        self.core.recovery.mode.store(recovery as usize, Ordering::Relaxed);
    }

    /// Sets the times that grants and recovery go by: at first, [`Limits::BARE_METAL`].
    ///
    /// # Errors
    ///
    /// See [`LimitsError`]; nothing has changed then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), LimitsError> {
        self.core.recovery.limits.set(limits, self.platform.ticks_per_ms())
    }

    /// What recovery has done so far. **NMI-safe.**
    pub fn recovery_stats(&self) -> RecoveryStats {
        self.core.recovery.counters.read()
    }
}
