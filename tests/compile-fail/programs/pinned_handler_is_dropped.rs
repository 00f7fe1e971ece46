// SPDX-License-Identifier: MIT OR Apache-2.0
//! A node is not dropped under its guard.

use latchwork::*;

struct Idle;

// SAFETY: it does nothing.
unsafe impl NmiHandler for Idle {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::None
    }
}

fn dropped<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) {
    let node = Box::pin(PinnedHandler::new(Idle));
    let guard = node.as_ref().register(nmi, spec);
    drop(node); //~ E0505
    drop(guard);
}

fn main() {}
