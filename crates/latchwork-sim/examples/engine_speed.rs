// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures how many choice points a second this computer passes, with Latchwork's real source in
//! the world: `cargo run --profile explore -p latchwork-sim --example engine_speed`.

#[path = "../tests/hot_remove/world.rs"]
mod world;

use latchwork_sim::engine::{Bounds, Report, exhaust, sample};
use world::{Plan, Removal, worlds};

fn main() {
    let mut build = worlds(Plan { edges: [2, 1], removal: Removal::Waits });
    let bounds = Bounds { preemptions: 2, ..Bounds::default() };
    print("exhaustive", &exhaust(&bounds, &mut build));
    print("exhaustive, store buffers", &exhaust(&Bounds { store_buffer: 4, ..bounds }, &mut build));
    print("random", &sample(&bounds, 0..300_000, &mut build));
    let mut storm = worlds(Plan { edges: [300, 300], removal: Removal::Never });
    print("random, long", &sample(&bounds, 0..2_000, &mut storm));
}

fn print(search: &str, report: &Report) {
    let seconds = report.elapsed.as_secs_f64();
    println!(
        "{search}: {:?}, {} states, {} executions, {} choice points in {seconds:.2} s: \
         {:.0} choice points, {:.0} executions, {:.0} states a second",
        report.verdict,
        report.states,
        report.executions,
        report.points,
        report.points as f64 / seconds,
        report.executions as f64 / seconds,
        report.states as f64 / seconds,
    );
}
