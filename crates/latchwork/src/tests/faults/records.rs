// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said, and counted, of edges that were deferred.

use super::{Machine, on, polled};
use crate::{
    Interrupted, Mode, Nmi, Outcome, PlatformDelivery, UnknownPolicy, tests::world::TestPlatform,
};

fn take_nmi_at(nmi: &'static Nmi<TestPlatform>, ip: usize, mode: Mode) -> Outcome {
    let frame = core::ptr::null();
    let interrupted = Interrupted { ip, sp: 0x2000, fp: 0x3000, mode, frame, sources: None };
    // SAFETY: the thread plays a CPU in NMI context; no handler here looks at the frame.
    unsafe { nmi.dispatch(&interrupted) }
}

/// Two edges come on top of an NMI, and the report of the second says that it interrupted what the
/// first did.
#[test]
fn fault_32_a_deferred_edge_on_top_gets_the_ip_of_another() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    nmi.set_unknown_policy(UnknownPolicy::Panic);
    polled.amid.0.next(move || {
        take_nmi_at(nmi, 0xA, Mode::Kernel);
        take_nmi_at(nmi, 0xB, Mode::User);
    });
    take_nmi_at(nmi, 0xC, Mode::Kernel);
    Machine::new(nmi).run_ms(20);
    let unknowns = nmi.platform.unknowns.lock().unwrap();
    let mut told: std::vec::Vec<_> = unknowns.iter().map(|report| report.ip).collect();
    told.sort_unstable();
    assert_eq!(told, [0xA, 0xB, 0xC]);
    let of_user = unknowns.iter().find(|report| report.ip == 0xB).unwrap();
    assert_eq!(of_user.mode, Mode::User);
}

/// A CPU defers an edge and goes offline: the edge is in no count.
#[test]
fn fault_32_a_deferred_edge_that_is_dropped_offline_is_in_no_count() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    let before = nmi.cpu_stats(0).unwrap();
    polled.defer_an_edge();
    on(nmi, 0, || {
        nmi.go_offline().unwrap();
        nmi.run_work();
        nmi.come_online().unwrap();
    });
    Machine::new(nmi).run_ms(20);
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!(stats.deferred, before.deferred + 1);
    let ended = |it: &crate::CpuStats| it.absorbed + it.unknown + it.offline;
    assert_eq!(ended(&stats), ended(&before) + 1, "{stats:?}");
}
