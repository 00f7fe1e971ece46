// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known about one NMI is known during that NMI.

use latchwork::{Claim, NmiContext, NmiHandler};

struct Keeps;

// SAFETY: it does not compile.
unsafe impl NmiHandler for Keeps {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        keep(ctx);
        //~^ E0521
        //~| E0521
        Claim::None
    }
}

fn keep(_: &'static NmiContext<'static>) {}

fn main() {}
