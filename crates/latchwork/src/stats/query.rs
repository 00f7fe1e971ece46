// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel can ask: what CPUs and handlers have done, and what is granted and owed at this
//! moment.
//!
//! Any CPU reads the figures with plain loads: each is exact, but two of them may be a moment
//! apart. The library decides nothing by them.

use core::{error::Error, fmt};

use super::{cpu::CpuStats, handler::HandlerStats};
use crate::{
    contract::{Granted, HandlerId, OwedPoll, Platform, STALE_HANDLE},
    nmi::Nmi,
    primitive::{Ordering, fence},
    time::Timestamp,
};

impl<P: Platform> Nmi<P> {
    /// What `cpu` has counted so far; `None` if there is no such CPU. **NMI-safe.** If the CPU runs
    /// meanwhile, each figure is exact, but two of them may be a moment apart.
    pub fn cpu_stats(&self, cpu: usize) -> Option<CpuStats> {
        let area = self.core.cpus().get(cpu)?;
        Some(area.counters.read(&area.ledger.live_time))
    }

    /// What a handler has done on `cpu` so far. **NMI-safe.**
    ///
    /// # Errors
    ///
    /// See [`StatsError`].
    pub fn handler_stats(&self, id: HandlerId, cpu: usize) -> Result<HandlerStats, StatsError> {
        let area = self.core.cpus().get(cpu).ok_or(StatsError::NoSuchCpu { cpu })?;
        self.core.slot_of(id).ok_or(StatsError::Stale)?;
        let counters = area.slot_counters(id.class, id.slot).ok_or(StatsError::Stale)?;
        let stats = counters.read();
        // This CPU read the counters before it looks at the generation again. Partner: the Release
        // in `Slot::free`, which comes before any `clear`.
        fence(Ordering::Acquire);
        self.core.slot_of(id).ok_or(StatsError::Stale)?;
        Ok(stats)
    }

    /// Which edges `cpu` may absorb now; `None` if there is no such CPU. **NMI-safe.** About
    /// another CPU, the answer is a moment old, and goes by this CPU's clock.
    pub fn granted(&self, cpu: usize) -> Option<Granted> {
        let area = self.core.cpus().get(cpu)?;
        let limits = self.limits();
        Some(area.ledger.snapshot(Timestamp::from_ticks(self.platform.now_ticks()), limits))
    }

    /// The poll that is owed, if one is. **NMI-safe.** If it stays owed for longer than
    /// [`overdue_us`](crate::Limits::overdue_us), no CPU ticks or takes NMIs.
    pub fn owed_poll(&self) -> Option<OwedPoll> {
        let owed = self.core.recovery.hot.debt.owed()?;
        let now = Timestamp::from_ticks(self.platform.now_ticks());
        Some(OwedPoll {
            age_ticks: usize::try_from(now.since(owed.since(now))).unwrap_or(usize::MAX),
            edge_waits: owed.has_edge(),
        })
    }
}

/// There are no statistics under this handle or for this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsError {
    /// The handler that the handle named is gone, and its statistics with it; or the handle belongs
    /// to another subsystem.
    Stale,
    /// There is no such CPU.
    NoSuchCpu {
        /// The number that the caller gave.
        cpu: usize,
    },
}

impl fmt::Display for StatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str(STALE_HANDLE),
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
        }
    }
}

impl Error for StatsError {}
