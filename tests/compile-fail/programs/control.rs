// SPDX-License-Identifier: MIT OR Apache-2.0
//@ check-pass
//! The control: what the other programs would be without their mistake.

use std::pin::pin;

use latchwork::*;

struct Counting(std::sync::atomic::AtomicUsize);

// SAFETY: a counter, and nothing else.
unsafe impl NmiHandler for Counting {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::Handled
    }
}

static COUNTING: Counting = Counting(std::sync::atomic::AtomicUsize::new(0));

fn register<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) {
    let registration = nmi.register(spec, &COUNTING).unwrap();
    std::thread::spawn(move || registration.remove().unwrap());
    let node = pin!(PinnedHandler::new(Counting(0.into())));
    let guard = node.as_ref().register(nmi, spec).unwrap();
    drop(guard);
}

fn main() {}
