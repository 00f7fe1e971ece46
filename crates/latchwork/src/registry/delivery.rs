// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of a doorbell: the CPUs to which it rings, and what its edges are like. And the limits.

use super::{doorbell, error::SpecError};
use crate::{
    contract::{EdgeModel, HandlerId, Platform, PlatformDelivery},
    nmi::Nmi,
    primitive::{Ordering, fence},
    time::{Limits, LimitsError},
};

impl<P: Platform> Nmi<P> {
    /// Sets the CPUs to which the doorbell of a Platform handler rings from now on. The library
    /// then owes a poll, since a line that was asserted while it was masked gives no edge. Call
    /// this **before** you open the new route, and [`owe_poll`](Self::owe_poll) after. Close the
    /// old route before: a ring that is still under way to a CPU which the new route leaves out is
    /// explained there as before, for [`cap_us`](Limits::cap_us) and a tick. Not NMI-safe.
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

    /// Sets how the edges of a handler's doorbell relate to its conditions from now on, for all
    /// handlers behind that doorbell. A driver calls it, for example, when it learns that this CPU
    /// does not mask its LVT entry on delivery. Handlers of class
    /// [`Unknown`](crate::Class::Unknown) have no say in it. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`SpecError`]; nothing has changed then.
    pub fn set_edge_model(&'static self, id: HandlerId, edges: EdgeModel) -> Result<(), SpecError> {
        doorbell::set_edge_model(&self.core, &self.platform, id, edges)
    }

    /// Sets the times by which grants and recovery go; until then they are [`Limits::BARE_METAL`].
    /// Call this before you register handlers that need other ones. Debts and grants that are there
    /// go by the new times from here on. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`LimitsError`]; nothing has changed then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), LimitsError> {
        doorbell::set_limits(&self.core, &self.platform, limits)
    }

    /// Sets the CPU that plays the boot CPU's role, to which [`PlatformDelivery::Bsp`] rings; until
    /// then it is CPU 0. The same order of calls holds as for [`set_delivery`](Self::set_delivery).
    /// Not NMI-safe.
    ///
    /// # Errors
    ///
    /// See [`SpecError`]; nothing has changed then.
    pub fn set_boot_cpu(&'static self, cpu: usize) -> Result<(), SpecError> {
        doorbell::set_boot_cpu(&self.core, &self.platform, cpu)?;
        self.owe_poll();
        Ok(())
    }

    /// Makes the library owe a poll of the Platform handlers. Call it after you have unmasked a
    /// line, resumed the machine, or for another reason know that a condition may be there without
    /// an edge. Some CPU pays the debt at its tick, a tick period later at the earliest.
    /// **NMI-safe.**
    pub fn owe_poll(&'static self) {
        // What the caller did comes before the look at the debt. Partner: the fence in
        // `PollLock::begin`.
        fence(Ordering::SeqCst);
        let _ = self.on_this_cpu(|cpu, area| self.owe(cpu, area));
    }
}
