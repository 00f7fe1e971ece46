// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receipt of a removal that did not wait.

use super::quiescence::Quiescence;
use crate::nmi::Core;

/// Tells when a [`try_remove`](crate::Registration::try_remove) is over. Dropping it changes
/// nothing.
#[derive(Clone, Debug)]
#[must_use = "until the ticket says so, the handler may still be running"]
pub struct Ticket {
    core: &'static Core,
    wait: Quiescence,
}

impl Ticket {
    pub(crate) const fn new(core: &'static Core, wait: Quiescence) -> Self {
        Self { core, wait }
    }

    /// Whether no CPU can be inside the handler any more. Once true, always true, and everything
    /// the handler did happens before. Does not wait. **NMI-safe.**
    ///
    /// In the NMI that the removal was made in, or that it interrupted, it stays false: this very
    /// CPU is still inside.
    ///
    /// # Errors
    ///
    /// `Err(cpu)` while `cpu` is in a dispatch that may have found the handler.
    pub fn check(&mut self) -> Result<(), usize> {
        self.wait.advance(self.core.cpus())
    }

    /// [`check`](Self::check), as a plain answer. **NMI-safe.**
    pub fn is_over(&mut self) -> bool {
        self.check().is_ok()
    }
}
