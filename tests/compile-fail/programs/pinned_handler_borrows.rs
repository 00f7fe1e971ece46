// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaking the node would end its handler's borrow and leave the handler registered.

use std::sync::atomic::AtomicUsize;

use latchwork::*;

struct Counting<'a>(&'a AtomicUsize);

// SAFETY: a counter, and nothing else.
unsafe impl NmiHandler for Counting<'_> {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Claim::Handled
    }
}

fn leak<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) {
    let calls = AtomicUsize::new(0);
    let node = Box::pin(PinnedHandler::new(Counting(&calls))); //~ E0597
    std::mem::forget(node.as_ref().register(nmi, spec));
    std::mem::forget(node);
}

fn main() {}
