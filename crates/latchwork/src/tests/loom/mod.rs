// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real code under loom: two or three CPUs, every schedule that differs, every value
//! that the memory model lets a load see.
//!
//! What loom does not show, and who does: an NMI on the same CPU ([`super::nested`]); that
//! `fence_after_rmw` is enough on x86 (argued in `primitive::plain`, exercised in QEMU).

mod grants;
mod lifecycle;
mod nested;
mod panicking;
mod recovery;
mod registry;
mod requests;
mod sharing;
mod work;

/// Runs `test` in every schedule that differs, without a bound on preemptions.
fn explore(test: impl Fn() + Sync + Send + 'static) {
    explore_up_to(None, test);
}

/// The same with at most so many preemptions in a schedule, for scenes with too many accesses.
fn explore_up_to(preemptions: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = preemptions;
    builder.check(test);
}
