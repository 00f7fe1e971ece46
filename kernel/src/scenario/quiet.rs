// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Platform handler that never has anything to claim. With it registered, the library owes a poll
//! for an edge that a Local handler explains, and ticks pay polls.

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, Registration,
};

use crate::nmi;

struct Quiet;
static QUIET: Quiet = Quiet;

// SAFETY: touches nothing.
unsafe impl NmiHandler for Quiet {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::None
    }
}

/// Registers it.
pub(super) fn register() -> Registration {
    let doorbell = Doorbell::Platform(0);
    let spec = HandlerSpec::new("quiet", Class::Platform, doorbell, EdgeModel::PerCondition);
    nmi::register_as(&spec, &QUIET)
}
