// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ticket: the receipt of a removal that did not wait.

use super::quiescence::Quiescence;
use crate::nmi::Core;

/// Says when a [`try_remove`](crate::Registration::try_remove) is over: when no CPU can be inside
/// the handler any more. Dropping it changes nothing.
///
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/kernel.rs")); }
/// # use {kernel::{Handover, Kernel, interrupted}, latchwork::*};
/// # static CPUS: [PerCpu; 4] = [const { PerCpu::new() }; 4];
/// # static NMI: Nmi<Kernel> = Nmi::new(Kernel);
/// # fn on_nmi() -> Outcome { unsafe { NMI.dispatch(&interrupted()) } }
/// /// Removes itself in its first NMI, where it cannot wait.
/// struct OneShot {
///     guard: Handover<Registration>, // hands a value over without a lock
///     ticket: Handover<Ticket>,
/// }
///
/// // SAFETY: it takes no lock, allocates nothing and waits for nothing.
/// unsafe impl NmiHandler for OneShot {
///     fn handle(&self, _: &NmiContext<'_>) -> Claim {
///         let Some(guard) = self.guard.take() else { return Claim::None };
///         let mut ticket = guard.try_remove();
///         assert!(!ticket.is_over()); // this CPU is still inside the handler
///         self.ticket.put(ticket);
///         Claim::Handled
///     }
/// }
///
/// static ONE_SHOT: OneShot = OneShot { guard: Handover::new(), ticket: Handover::new() };
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # NMI.init(&CPUS)?;
/// # let spec = HandlerSpec::new("1", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
///
/// ONE_SHOT.guard.put(NMI.register(&spec, &ONE_SHOT)?);
/// assert_eq!(on_nmi(), Outcome::Claimed);
///
/// // Later, in ordinary context:
/// let mut ticket = ONE_SHOT.ticket.take().ok_or("no NMI came")?;
/// assert!(ticket.is_over()); // no CPU is in the handler, nor ever will be: its memory may go
/// # Ok(()) }
/// ```
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

    /// Whether no CPU can be inside the handler any more. Once it is over, it stays over, and
    /// everything that the handler did happens before. Does not wait. **NMI-safe.**
    ///
    /// In the NMI that called `try_remove`, and in the NMI that the caller of `try_remove`
    /// interrupted, it is not over: this CPU itself is still inside.
    ///
    /// # Errors
    ///
    /// `Err(cpu)` while `cpu` is in a dispatch that may have found the handler.
    pub fn check(&mut self) -> Result<(), usize> {
        self.wait.advance(self.core.cpus())
    }

    /// [`check`](Self::check), as a yes or no. **NMI-safe.**
    pub fn is_over(&mut self) -> bool {
        self.check().is_ok()
    }
}
