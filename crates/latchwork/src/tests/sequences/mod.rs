// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random sequences of what a kernel may do with the public API, on three CPUs that one thread
//! plays: steps happen one after the other, and amid one another at any access of the real code.
//!
//! [`step`] says what a sequence is made of, [`machine`] what it is played on, [`ledger`] by what
//! it is judged, and [`play`] how.
//!
//! `LATCHWORK_SEQUENCES=N cargo test --release -p latchwork --lib sequences` plays N of them, and
//! `LATCHWORK_SEED=N` others than CI plays. So that a search goes on behind what it has found,
//! `LATCHWORK_SCOPE` names the [steps](step::Scope) that there are, with commas in between, and
//! `LATCHWORK_KNOWN` parts of what is not to be told.

mod deeds;
mod ledger;
mod machine;
mod platform;
mod play;
mod rest;
mod settings;
mod step;

use core::cell::Cell;
use std::{format, string::String, sync::OnceLock, vec::Vec};

use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner},
};

use self::{
    play::play,
    step::{Scope, Step, step},
};

/// Whether `LATCHWORK_KNOWN` names a violation: it may hold parts of several, with `;` in between.
fn is_known(what: &str) -> bool {
    static KNOWN: OnceLock<String> = OnceLock::new();
    let known = KNOWN.get_or_init(|| std::env::var("LATCHWORK_KNOWN").unwrap_or_default());
    known.split(';').any(|it| !it.is_empty() && what.contains(it))
}

/// How many steps a sequence has at most.
const MOST_STEPS: usize = 40;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn runner(sequences: u32) -> TestRunner {
    TestRunner::new(Config {
        cases: sequences,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        rng_algorithm: RngAlgorithm::XorShift,
        rng_seed: RngSeed::Fixed(from_env("LATCHWORK_SEED", 1)),
        ..Config::default()
    })
}

/// Plays sequences within `scope`, and shows the shortest one that is not as it ought to be.
fn search(scope: Scope) {
    let sequences = from_env("LATCHWORK_SEQUENCES", 2_000) as u32;
    let (played, found) = (Cell::new(0), Cell::new(0));
    let searched = runner(sequences).run(&vec(step(scope), 1..MOST_STEPS), |steps| {
        played.set(played.get() + 1);
        play(scope, &steps).map_err(|what| {
            if found.get() == 0 {
                found.set(played.get());
            }
            TestCaseError::fail(what)
        })
    });
    if let Err(TestError::Fail(_, steps)) = searched {
        let found = found.get();
        let (steps, why) = shortest(scope, steps);
        panic!("sequence {found}: {why}:\n{}", lines(&steps));
    }
}

/// Leaves out what a violation does not need.
fn shortest(scope: Scope, mut steps: Vec<Step>) -> (Vec<Step>, String) {
    let mut why = play(scope, &steps).err().unwrap_or_default();
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        match play(scope, &fewer) {
            Err(what) => (steps, why, at) = (fewer, what, 0),
            Ok(()) => at += 1,
        }
    }
    (steps, why)
}

fn lines(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("  {step:?}\n")).collect()
}

#[test]
fn sequences_of_everything() {
    search(Scope::of(std::env::var("LATCHWORK_SCOPE").ok().as_deref()));
}
