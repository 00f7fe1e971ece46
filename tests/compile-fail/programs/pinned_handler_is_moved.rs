// SPDX-License-Identifier: MIT OR Apache-2.0
//! A node that has been pinned moves no more.

use latchwork::*;

struct Idle;

// SAFETY: it does nothing.
unsafe impl NmiHandler for Idle {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::None
    }
}

fn moved<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) {
    let node = Box::pin(PinnedHandler::new(Idle));
    std::mem::forget(node.as_ref().register(nmi, spec));
    let _elsewhere = *std::pin::Pin::into_inner(node); //~ E0277
}

fn exchanged<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) {
    let mut node = Box::pin(PinnedHandler::new(Idle));
    std::mem::forget(node.as_ref().register(nmi, spec));
    let mut other = PinnedHandler::new(Idle);
    std::mem::swap(node.as_mut().get_mut(), &mut other); //~ E0277
}

fn main() {}
