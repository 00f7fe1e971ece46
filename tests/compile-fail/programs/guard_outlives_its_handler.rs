// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neither guard may be there longer than what it guards.

use std::pin::pin;

use latchwork::*;

struct Idle;

// SAFETY: it does nothing.
unsafe impl NmiHandler for Idle {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::None
    }
}

fn on_the_stack<P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) -> Registration {
    let handler = std::vec![Idle];
    nmi.register(spec, &handler[0]).unwrap() //~ E0597
}

fn pinned<'a, P: Platform>(nmi: &'static Nmi<P>, spec: &HandlerSpec<'_>) -> PinnedRegistration<'a> {
    let node = pin!(PinnedHandler::new(Idle));
    node.as_ref().register(nmi, spec).unwrap()
    //~^ E0515
    //~| E0515
}

fn main() {}
