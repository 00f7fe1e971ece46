// SPDX-License-Identifier: MIT OR Apache-2.0
//! An NMI on the same CPU, before each single access of the real code, one access after the other
//! until the code makes no further one.

mod bounded;
mod dispatch;
mod grants;
mod lifecycle;
mod on_top;
mod recovery;
mod work;
mod writers;

use crate::primitive::checked::interrupt;

/// Runs `scene(accesses_before)` for every access that it has, and fails if it has implausibly few.
///
/// `scene` arms an NMI, runs the code, and returns whether the NMI came, by [`came`].
fn at_every_access(at_least: usize, scene: impl Fn(usize) -> bool) {
    let accesses = (0..10_000).take_while(|&accesses_before| scene(accesses_before)).count();
    assert!(accesses >= at_least, "only {accesses} accesses were interrupted");
}

fn arm(accesses_before: usize, nmi: impl FnOnce() + 'static) {
    interrupt::arm(accesses_before, nmi);
}

fn came() -> bool {
    interrupt::disarm()
}
