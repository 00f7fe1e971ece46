// SPDX-License-Identifier: MIT OR Apache-2.0
//! Setting how a tick pays debts, and asking what came of it.

use super::{mode::Recovery, stats::RecoveryStats};
use crate::{contract::Platform, nmi::Nmi, primitive::Ordering};

impl<P: Platform> Nmi<P> {
    /// Sets how a tick pays debts from now on; until then it is [`Recovery::Poll`].
    pub fn set_recovery(&self, recovery: Recovery) {
        self.core.recovery.mode.store(recovery as usize, Ordering::Relaxed);
    }

    /// What recovery has done so far. **NMI-safe.**
    pub fn recovery_stats(&self) -> RecoveryStats {
        self.core.recovery.counters.read()
    }
}
