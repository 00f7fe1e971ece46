// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one dispatch does, in which order, and how it ends.

use core::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::world::{Leaked, TICKS_PER_MS, TestPlatform, Victim, World, become_cpu, spec, take_nmi};
use crate::{
    Claim, Class, InDispatch, Interrupted, MAX_NESTING, Mode, Nmi, NmiContext, NmiHandler, Outcome,
    PerCpu, RegisterError, Request, SourceMap, UnknownPolicy, primitive::Ordering,
};

static LOG: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Serialises the tests that write to the log.
fn fresh_log() -> (MutexGuard<'static, ()>, impl Fn() -> Vec<&'static str>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    LOG.lock().unwrap().clear();
    (turn, || core::mem::take(&mut *LOG.lock().unwrap()))
}

struct Logger(&'static str, Claim);

// SAFETY: the lock is a test's; nothing interrupts its holder here.
unsafe impl NmiHandler for Logger {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        LOG.lock().unwrap().push(self.0);
        self.1
    }
}

#[test]
fn all_local_handlers_are_asked_by_priority_even_after_a_claim() {
    let (_turn, log) = fresh_log();
    let world = World::new();
    static HANDLERS: [Logger; 4] = [
        Logger("last", Claim::None),
        Logger("first", Claim::Handled),
        Logger("second", Claim::Handled),
        Logger("third", Claim::None),
    ];
    let kept: Vec<_> = HANDLERS
        .iter()
        .zip([200, 10, 20, 20])
        .map(|(it, priority)| {
            world.nmi.register(&spec(it.0, Class::Local).priority(priority), it).unwrap()
        })
        .collect();
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    assert_eq!(log(), ["first", "second", "third", "last"]);
    drop(kept);
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown);
    assert_eq!(log(), [""; 0]);
}

#[test]
fn classes_are_asked_only_as_far_as_needed() {
    let (_turn, log) = fresh_log();
    let world = World::new();
    static LOCAL: Logger = Logger("local", Claim::None);
    static PLATFORM: Logger = Logger("platform", Claim::None);
    static LAST_RESORT: Logger = Logger("last resort", Claim::Handled);
    static LOCAL_CLAIMS: Logger = Logger("local claims", Claim::Handled);
    static PLATFORM_CLAIMS: Logger = Logger("platform claims", Claim::Handled);
    let register = |class, it: &'static Logger| world.nmi.register(&spec(it.0, class), it).unwrap();
    let _asked = [
        register(Class::Local, &LOCAL),
        register(Class::Platform, &PLATFORM),
        register(Class::Unknown, &LAST_RESORT),
    ];
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    assert_eq!(log(), ["local", "platform", "last resort"]);
    let _platform = register(Class::Platform, &PLATFORM_CLAIMS);
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    assert_eq!(log(), ["local", "platform", "platform claims"]);
    let _local = register(Class::Local, &LOCAL_CLAIMS);
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    assert_eq!(log(), ["local", "local claims"]);
    world.nmi.send(0, Request::Probe).unwrap();
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    assert_eq!(log(), ["local", "local claims", "platform", "platform claims"]);
}

#[test]
fn the_source_bitmap_can_ask_for_the_platform() {
    let (_turn, log) = fresh_log();
    let world = World::new();
    static LOCAL: Logger = Logger("local", Claim::Handled);
    static PLATFORM: Logger = Logger("platform", Claim::None);
    let _local = world.nmi.register(&spec("local", Class::Local), &LOCAL).unwrap();
    let _platform = world.nmi.register(&spec("platform", Class::Platform), &PLATFORM).unwrap();
    for (bits, asked) in [(0b1, true), (0b100, true), (0b1000, false)] {
        let interrupted = Interrupted {
            ip: 0,
            sp: 0,
            fp: 0,
            mode: Mode::User,
            frame: core::ptr::null(),
            sources: Some(SourceMap::from_bits(bits)),
        };
        // SAFETY: as in `take_nmi`.
        unsafe { world.nmi.dispatch(&interrupted) };
        assert_eq!(log().contains(&"platform"), asked, "{bits:b}");
    }
}

#[test]
fn another_cpu_at_the_platform_handlers_defers_the_edge_and_a_later_poll_settles_it() {
    let world = World::new();
    let platform = Leaked::new(Victim::new(Claim::None));
    let _kept = world.nmi.register(&spec("platform", Class::Platform), platform.0).unwrap();
    let polls = &world.nmi.core.recovery.polls;
    let poll = polls.take(1).unwrap();
    assert_eq!(take_nmi(world.nmi), Outcome::Deferred);
    polls.end(poll);
    assert_eq!(world.nmi.cpu_stats(0).unwrap().unknown, 0);
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown);
    let stats = world.nmi.cpu_stats(0).unwrap();
    assert_eq!((stats.edges, stats.deferred, stats.unknown), (2, 1, 2));
}

/// A button reaches all CPUs at once: each asks its debugger, whoever else is at the same point.
#[test]
fn without_platform_handlers_no_edge_is_deferred() {
    let world = World::new();
    let debugger = Leaked::new(Victim::new(Claim::Handled));
    let _kept = world.nmi.register(&spec("debugger", Class::Unknown), debugger.0).unwrap();
    assert!(world.nmi.core.recovery.polls.take(1).is_ok());
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    assert_eq!((debugger.0.calls(), world.nmi.cpu_stats(0).unwrap().deferred), (1, 0));
}

#[test]
fn an_unknown_nmi_is_counted_and_reported_with_what_it_interrupted() {
    let world = World::new();
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown);
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown);
    let reports = world.nmi.platform.unknowns.lock().unwrap().clone();
    assert_eq!(reports.len(), 1, "the second comes too soon after the first");
    assert_eq!((reports[0].cpu, reports[0].ip, reports[0].count), (0, 0x1000, 1));
    assert_eq!(world.nmi.cpu_stats(0).unwrap().unknown, 2);
    world.nmi.platform.ticks.fetch_add(100 * TICKS_PER_MS as usize, Ordering::Relaxed);
    take_nmi(world.nmi);
    let reports = world.nmi.platform.unknowns.lock().unwrap();
    assert_eq!((reports[1].count, reports[1].suppressed), (3, 1));
    assert!(world.nmi.platform.left.lock().unwrap().is_empty());
}

#[test]
fn the_panic_policy_acts_after_leaving() {
    let world = World::new();
    world.nmi.set_unknown_policy(UnknownPolicy::Panic);
    take_nmi(world.nmi);
    let left = world.nmi.platform.left.lock().unwrap();
    assert!(matches!(left[..], [(0, due, true)] if due.panic_on_unknown() && !due.stop()));
}

/// A parked CPU holds up no removal, yet it is still in its NMI.
#[test]
fn a_parked_cpu_is_in_its_nmi_but_outside_the_read_side() {
    let world = World::new();
    let nmi = world.nmi;
    static IDLE: Victim = Victim::new(Claim::None);
    *nmi.platform.on_leave.lock().unwrap() = Some(std::sync::Arc::new(move |_| {
        assert!(nmi.in_nmi());
        let here = nmi.register(&spec("here", Class::Local), &IDLE).unwrap_err();
        assert_eq!(here, RegisterError::InDispatch(InDispatch { cpu: 1 }));
        become_cpu(Some(0));
        nmi.register(&spec("elsewhere", Class::Local), &IDLE).unwrap().remove().unwrap();
        become_cpu(Some(1));
    }));
    nmi.send(1, Request::Stop).unwrap();
    become_cpu(Some(1));
    take_nmi(nmi);
    assert_eq!(nmi.platform.left.lock().unwrap().len(), 1);
    *nmi.platform.on_leave.lock().unwrap() = None;
}

/// A handler that asks for the debugger.
struct AsksAfterLeave;

// SAFETY: it only posts a word of its own CPU.
unsafe impl NmiHandler for AsksAfterLeave {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        ctx.ask_after_leave();
        Claim::Handled
    }
}

#[test]
fn what_a_handler_asks_for_happens_after_leaving_and_once() {
    let world = World::new();
    let registration =
        world.nmi.register(&spec("debugger", Class::Local), &AsksAfterLeave).unwrap();
    take_nmi(world.nmi);
    registration.remove().unwrap();
    world.nmi.send(0, Request::Call).unwrap();
    take_nmi(world.nmi);
    let left = world.nmi.platform.left.lock().unwrap();
    assert!(matches!(left[..], [(0, due, true)] if due.handler_asked()));
}

#[test]
fn nmis_before_initialisation_and_before_per_cpu_data_are_counted() {
    let world = World::before_init();
    assert_eq!(take_nmi(world.nmi), Outcome::TooEarly);
    let world = World::new();
    for nobody in [None, Some(super::world::CPUS)] {
        become_cpu(nobody);
        assert_eq!(take_nmi(world.nmi), Outcome::TooEarly);
    }
    become_cpu(Some(0));
    assert_eq!(world.nmi.too_early(), 2);
    assert_eq!(world.nmi.cpu_stats(0).unwrap().edges, 0);
}

/// A handler during which another NMI comes, as often as it may.
struct Reopens {
    nmi: &'static Nmi<TestPlatform>,
    deepest: AtomicUsize,
}

// SAFETY: it recurses into dispatch, as an NMI that its own IRET let in would.
unsafe impl NmiHandler for Reopens {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        self.deepest.fetch_add(1, Ordering::Relaxed);
        assert!(self.nmi.in_nmi());
        match take_nmi(self.nmi) {
            Outcome::TooDeep => Claim::None,
            _ => Claim::Handled,
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let world = World::new();
    let handler = Leaked::new(Reopens { nmi: world.nmi, deepest: AtomicUsize::new(0) });
    let registration = world.nmi.register(&spec("reopens", Class::Local), handler.0).unwrap();
    take_nmi(world.nmi);
    assert_eq!(handler.0.deepest.load(Ordering::Relaxed), MAX_NESTING);
    assert!(!world.nmi.in_nmi());
    registration.remove().unwrap();
}

#[test]
fn statistics_say_who_did_what_where() {
    let world = World::new();
    let (claims, silent) =
        (Leaked::new(Victim::new(Claim::Handled)), Leaked::new(Victim::new(Claim::None)));
    let claiming = world.nmi.register(&spec("claims", Class::Local), claims.0).unwrap();
    let asking = world.nmi.register(&spec("silent", Class::Local), silent.0).unwrap();
    become_cpu(Some(1));
    (0..3).for_each(|_| assert_eq!(take_nmi(world.nmi), Outcome::Claimed));
    become_cpu(Some(0));
    let stats = |id, cpu| world.nmi.handler_stats(id, cpu).unwrap();
    assert_eq!((stats(claiming.id(), 1).calls, stats(claiming.id(), 1).claims), (3, 3));
    assert_eq!((stats(asking.id(), 1).calls, stats(asking.id(), 1).claims), (3, 0));
    assert_eq!(stats(claiming.id(), 0).calls, 0);
    // The test clock advances by one at each reading, and there is one reading a handler.
    assert_eq!((stats(asking.id(), 1).total_ticks, stats(asking.id(), 1).max_ticks), (3, 1));
    assert_eq!(stats(asking.id(), 1).histogram[0], 3);
    let cpu = world.nmi.cpu_stats(1).unwrap();
    assert_eq!((cpu.edges, cpu.claimed, cpu.unknown, cpu.total_ticks), (3, 3, 0, 6));
    assert_eq!(world.nmi.cpu_stats(super::world::CPUS), None);
    claiming.remove().unwrap();
    asking.remove().unwrap();
}

#[test]
fn a_per_cpu_area_can_be_made_in_a_static() {
    static CPUS: [PerCpu; 2] = [const { PerCpu::new() }; 2];
    assert_eq!(CPUS.len(), 2);
}
