// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known about one NMI holds on the CPU that took it.

use latchwork::NmiContext;

fn hand_over(ctx: &NmiContext<'static>) {
    std::thread::scope(|scope| {
        scope.spawn(|| ctx.cpu());
        //~^ E0277
        //~| E0277
    });
}

fn send<T: Send>(_: T) {}

fn give_away(ctx: NmiContext<'static>) {
    send(ctx);
    //~^ E0277
    //~| E0277
}

fn main() {}
