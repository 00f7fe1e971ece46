// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler runs on several CPUs at once.

use std::cell::Cell;

use latchwork::{Claim, NmiContext, NmiHandler};

struct Counting(Cell<u32>);

// SAFETY: it does not compile.
unsafe impl NmiHandler for Counting { //~ E0277
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        self.0.set(self.0.get() + 1);
        Claim::Handled
    }
}

fn main() {}
