// SPDX-License-Identifier: MIT OR Apache-2.0
//! To which CPUs a Platform doorbell rings, and what its edges are like, when that changes.

use super::{doorbell, error::SpecError};
use crate::{
    contract::{EdgeModel, HandlerId, Platform, PlatformDelivery},
    nmi::Nmi,
    primitive::{Ordering, fence},
    time::{Limits, LimitsError},
};

impl<P: Platform> Nmi<P> {
    /// Says to which CPUs the doorbell of a Platform handler rings from now on. The library then
    /// owes a poll, since a line that was asserted while it was masked gives no edge. Call it
    /// **before** the new route is opened, and [`owe_poll`](Self::owe_poll) after. A ring that is
    /// under way to a CPU which the new route leaves out may be called unknown there: close the old
    /// route [`late_us`](Limits::late_us) before. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`SpecError`]; nothing has changed then.
    pub fn set_delivery(
        &'static self,
        id: HandlerId,
        delivery: PlatformDelivery<'_>,
    ) -> Result<(), SpecError> {
        doorbell::set_delivery(&self.core, &self.platform, id, delivery)?;
        self.owe_poll();
        Ok(())
    }

    /// Says how the edges of a handler's doorbell relate to its conditions from now on, for all
    /// handlers behind that doorbell: a driver learned, for example, that this CPU does not mask
    /// its LVT entry when it delivers. Handlers of class [`Unknown`](crate::Class::Unknown) have no
    /// say in it. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`SpecError`]; nothing has changed then.
    pub fn set_edge_model(&'static self, id: HandlerId, edges: EdgeModel) -> Result<(), SpecError> {
        doorbell::set_edge_model(&self.core, &self.platform, id, edges)
    }

    /// Sets the times that grants and recovery go by: at first, [`Limits::BARE_METAL`]. Before
    /// handlers are registered that need them. What is owed or granted already goes by the new ones
    /// from here on. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`LimitsError`]; nothing has changed then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), LimitsError> {
        doorbell::set_limits(&self.core, &self.platform, limits)
    }

    /// Says which CPU plays the boot CPU's role, to which [`PlatformDelivery::Bsp`] rings: at
    /// first, CPU 0. As [`set_delivery`](Self::set_delivery). Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`SpecError`]; nothing has changed then.
    pub fn set_boot_cpu(&'static self, cpu: usize) -> Result<(), SpecError> {
        doorbell::set_boot_cpu(&self.core, &self.platform, cpu)?;
        self.owe_poll();
        Ok(())
    }

    /// Owes a poll of the Platform handlers: whoever unmasks a line, resumes the machine, or knows
    /// another reason why a condition may be there without an edge. Some CPU pays, at its tick, a
    /// tick period later at the earliest. **NMI-safe.**
    pub fn owe_poll(&'static self) {
        // What the caller did comes before the look at the debt. Partner: the fence in
        // `Debt::take`.
        fence(Ordering::SeqCst);
        let _ = self.on_this_cpu(|cpu, area| self.owe(cpu, area));
    }
}
