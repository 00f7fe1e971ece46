// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that nothing explains on two CPUs at once, under the panic policy.

use loom::thread;
use std::sync::Arc;

use super::explore_up_to;
use crate::{
    AfterLeave, Nmi, Outcome, UnknownPolicy,
    primitive::SharedCell,
    tests::world::{TestPlatform, World, become_cpu, take_nmi},
};

/// What only the elected CPU may touch: two at once are a data race for loom.
struct Console(SharedCell<u32>);

// SAFETY: the elected CPU alone writes; showing that is the test.
unsafe impl Sync for Console {}
// SAFETY: as above.
unsafe impl Send for Console {}

impl Console {
    fn last_words(&self) {
        self.0.with_mut(|words| {
            // SAFETY: one CPU at a time is elected; if not so, the test fails.
            unsafe { *words += 1 };
        });
    }
}

/// Each CPU panics, with nobody else at it and after whoever was before, or stops because another
/// is.
#[test]
fn one_cpu_at_a_time_panics_and_whoever_does_not_stops() {
    // An unknown NMI has many accesses, most of them to the CPU's own words.
    explore_up_to(Some(3), || {
        let world = World::new();
        let nmi: &'static Nmi<TestPlatform> = world.nmi;
        nmi.set_unknown_policy(UnknownPolicy::Panic);
        let console = Arc::new(Console(SharedCell::new(0)));
        let elected = Arc::clone(&console);
        *nmi.platform.on_leave.lock().unwrap() = Some(Arc::new(move |due: AfterLeave| {
            if due.panic_on_unknown() {
                elected.last_words();
            }
        }));
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            assert_eq!(take_nmi(nmi), Outcome::Unknown);
        });
        assert_eq!(take_nmi(nmi), Outcome::Unknown);
        other_cpu.join().unwrap();
        let left = core::mem::take(&mut *nmi.platform.left.lock().unwrap());
        assert_eq!(left.len(), 2);
        let panics = left.iter().filter(|(_, due, _)| due.panic_on_unknown()).count();
        let lost = |due: &AfterLeave| due.panics_elsewhere() && due.stop();
        let stops = left.iter().filter(|(_, due, _)| lost(due)).count();
        assert!(panics >= 1 && panics + stops == 2, "{left:?}");
        assert_eq!(nmi.panicking_cpu(), None);
        *nmi.platform.on_leave.lock().unwrap() = None;
        console.0.with_mut(|words| {
            // SAFETY: the other thread has been joined.
            assert_eq!(unsafe { *words } as usize, panics);
        });
    });
}
