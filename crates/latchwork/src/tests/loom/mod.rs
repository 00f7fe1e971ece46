// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real code under loom: two or three CPUs, every schedule that differs, every value
//! that the memory model lets a load see.
//!
//! What loom does not show, and who does: an NMI on the same CPU ([`super::nested`]); that
//! `fence_after_rmw` is enough on x86 (argued in `primitive::plain`, exercised in QEMU).

mod lifecycle;
mod nested;
mod registry;
mod requests;
mod work;

/// Runs `test` in every schedule that differs, without a bound on preemptions.
fn explore(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.check(test);
}
