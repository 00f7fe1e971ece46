// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that come on top of others faster than these end.

use super::super::{
    scene::scene,
    world::{Leaked, TestPlatform, spec, take_nmi},
};
use crate::{
    Claim, Class, Nmi, NmiContext, NmiHandler, Outcome,
    primitive::{Counter, Ordering},
};

/// A handler on top of which so many NMIs come that its CPU cannot leave one more to the code
/// underneath.
struct Flood {
    nmi: &'static Nmi<TestPlatform>,
    is_inside: Counter,
    /// How many NMIs were said to be unknown at once, since there was no room for their edges.
    without_room: Counter,
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for Flood {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        if self.is_inside.swap(1, Ordering::Relaxed) == 0 {
            while take_nmi(self.nmi) == Outcome::Deferred {}
            self.without_room.fetch_add(1, Ordering::Relaxed);
            self.is_inside.store(0, Ordering::Relaxed);
        }
        Claim::None
    }
}

/// So many may wait for a poll, and so many on top of the code underneath.
const DEFERRED: usize = 67;
const ON_TOP: usize = 64;

/// An NMI judges its own edge, all that wait, and what comes on top in two looks: then it ends.
#[test]
fn the_longest_nmi_ends_however_many_come_on_top() {
    let mut scene = scene();
    let nmi = scene.world.nmi;
    nmi.platform.ticks_per_reading.store(0, Ordering::Relaxed);
    let (is_inside, without_room) = (Counter::new(0), Counter::new(0));
    let flood = Leaked::new(Flood { nmi, is_inside, without_room });
    scene.kept.push(nmi.register(&spec("flood", Class::Unknown), flood.0).unwrap());
    let poll = nmi.core.recovery.polls.take(1).unwrap();
    for _ in 0..DEFERRED {
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
    }
    nmi.core.recovery.polls.end(poll);
    let polls_before = nmi.recovery_stats().polls;
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    let without_room = flood.0.without_room.load(Ordering::Relaxed);
    let judged = nmi.cpu_stats(0).unwrap().unknown - without_room;
    assert_eq!(judged, 1 + DEFERRED + 2 * ON_TOP);
    let polls = nmi.recovery_stats().polls - polls_before;
    assert!(polls <= 6, "{polls} polls");
    assert!(!nmi.core.cpus()[0].tray.is_empty(), "the last flood waits for the next NMI or tick");
}
