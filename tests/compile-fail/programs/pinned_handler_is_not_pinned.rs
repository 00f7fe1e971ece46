// SPDX-License-Identifier: MIT OR Apache-2.0
//! A node that can still move cannot be registered.

use latchwork::*;

struct Idle;

// SAFETY: it does nothing.
unsafe impl NmiHandler for Idle {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::None
    }
}

fn not_pinned<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) {
    let node = PinnedHandler::new(Idle);
    let _ = core::pin::Pin::new(&node).register(nmi, spec); //~ E0277
}

fn main() {}
