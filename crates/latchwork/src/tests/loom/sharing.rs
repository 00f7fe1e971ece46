// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two subsystems that want the same things at once.

use loom::thread;

use super::explore;
use crate::{
    InitError, PerCpu, QueueError, Urgency,
    tests::{
        item::Item,
        world::{Leaked, World, become_cpu},
    },
};

/// Two slices that overlap in the middle area: one subsystem gets it, and what the refused one had
/// claimed before is free again.
#[test]
fn an_area_is_claimed_by_one_of_two() {
    explore(|| {
        let (first, second) = (World::before_init(), World::before_init());
        let areas = Leaked::new(core::array::from_fn::<_, 3, _>(|_| PerCpu::new()));
        let (nmi, other) = (first.nmi, second.nmi);
        let all: &'static [_] = areas.0;
        let theirs = thread::spawn(move || other.init(&all[1..]));
        let mine = nmi.init(&all[..2]);
        let theirs = theirs.join().unwrap();
        assert_ne!(mine.is_ok(), theirs.is_ok());
        if mine.is_ok() {
            assert_eq!(theirs, Err(InitError::AreaTaken { index: 0 }));
            assert_eq!(other.init(&all[2..]), Ok(()));
        } else {
            assert_eq!(mine, Err(InitError::AreaTaken { index: 1 }));
            assert_eq!(nmi.init(&all[..1]), Ok(()));
        }
    });
}

/// Of two calls for one subsystem one succeeds, and keeps nothing of what the other wanted.
#[test]
fn a_subsystem_is_initialised_once() {
    explore(|| {
        let world = World::before_init();
        let spare = World::before_init();
        let areas = Leaked::new(core::array::from_fn::<_, 2, _>(|_| PerCpu::new()));
        let nmi = world.nmi;
        let all: &'static [_] = areas.0;
        let theirs = thread::spawn(move || nmi.init(&all[1..]));
        let mine = nmi.init(&all[..1]);
        let theirs = theirs.join().unwrap();
        assert_ne!(mine.is_ok(), theirs.is_ok());
        let refused = mine.and(theirs).unwrap_err();
        assert!(matches!(refused, InitError::AlreadyInitialised | InitError::UnderWay));
        let left = if mine.is_ok() { &all[1..] } else { &all[..1] };
        assert_eq!(spare.nmi.init(left), Ok(()));
    });
}

/// An item that nobody has queued goes to one of two subsystems, and runs there.
#[test]
fn an_item_goes_to_one_of_two() {
    explore(|| {
        let (first, second) = (World::new(), World::new());
        let item = Item::new();
        let (nmi, other, work) = (first.nmi, second.nmi, item.work.0);
        let theirs = thread::spawn(move || {
            become_cpu(Some(1));
            other.queue(work, Urgency::Now)
        });
        let mine = nmi.queue(work, Urgency::Now);
        let theirs = theirs.join().unwrap();
        let refused = Err(QueueError::OtherSubsystem);
        assert!([(Ok(true), refused), (refused, Ok(true))].contains(&(mine, theirs)));
        assert_eq!(nmi.run_work(), usize::from(mine.is_ok()));
        become_cpu(Some(1));
        assert_eq!(other.run_work(), usize::from(theirs.is_ok()));
        assert!(work.is_idle());
    });
}
