// SPDX-License-Identifier: MIT OR Apache-2.0
//! Request counters at their width: as many sends as fit and one more, and sends in NMIs that nest.

use super::super::world::{TestPlatform, World, become_cpu, served, take_nmi};
use crate::{
    MAX_NESTING, Nmi, Outcome, Request, SendError,
    primitive::{Ordering, checked::interrupt},
};

fn fill(nmi: &'static Nmi<TestPlatform>, cpu: usize, request: Request) -> usize {
    (0..).take_while(|_| nmi.send(cpu, request).is_ok()).count()
}

#[test]
fn as_many_sends_as_fit_are_taken_and_one_more_is_refused() {
    for request in Request::ALL {
        let world = World::new();
        let nmi = world.nmi;
        for _ in 0..2 {
            let sent = fill(nmi, 0, request);
            assert_eq!(sent, request.field().refused_at);
            assert_eq!(nmi.send(0, request), Err(SendError::Saturated(request)));
            let before = nmi.platform.served.lock().unwrap().len();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
            let taken = nmi.platform.served.lock().unwrap()[before];
            assert_eq!((taken.count(request), taken.total()), (sent, sent), "{request:?}");
            assert_eq!(nmi.unfinished_sends(0), Some(0));
        }
    }
}

/// One kind that is full leaves room for the others.
#[test]
fn all_kinds_are_full_at_once_and_each_is_counted_by_itself() {
    let world = World::new();
    let nmi = world.nmi;
    let sent = Request::ALL.map(|request| fill(nmi, 0, request));
    assert_eq!(nmi.platform.rung[0].load(Ordering::Relaxed), sent.iter().sum::<usize>());
    become_cpu(Some(0));
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(Request::ALL.map(|request| served(nmi, request)), sent);
    assert_eq!(nmi.cpu_stats(0).unwrap().requests, sent.iter().sum::<usize>());
}

/// Sends, and before the access that `accesses_before` others precede an NMI comes that does the
/// same, `depth` deep.
fn send_nested(
    nmi: &'static Nmi<TestPlatform>,
    request: Request,
    accesses_before: usize,
    depth: usize,
) {
    if depth != 0 {
        interrupt::arm(accesses_before, move || {
            send_nested(nmi, request, accesses_before, depth - 1);
        });
    }
    let _ = nmi.send(0, request);
}

/// Each may be between its look at the counter and its addition when the next comes.
#[test]
fn sends_in_nmis_that_nest_as_deep_as_they_may_spill_into_no_other_kind() {
    for request in Request::ALL {
        for accesses_before in 0..24 {
            let world = World::new();
            let nmi = world.nmi;
            let almost = request.field().refused_at - 1;
            (0..almost).for_each(|_| nmi.send(0, request).unwrap());
            send_nested(nmi, request, accesses_before, MAX_NESTING);
            interrupt::disarm();
            take_nmi(nmi);
            let taken = nmi.platform.served.lock().unwrap()[0];
            let sent = nmi.platform.rung[0].load(Ordering::Relaxed);
            assert_eq!((taken.count(request), taken.total()), (sent, sent), "{request:?}");
        }
    }
}
