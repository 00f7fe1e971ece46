// SPDX-License-Identifier: MIT OR Apache-2.0
//! This kernel as sequences need it, and the scenario's faults.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, Outcome,
    PlatformDelivery, Registration, Request,
};
use latchwork_sequence::{Counts, Ending, MAX_CPUS, Source, Subject, time as limits};
use latchwork_x86::idle;
use x86_64::instructions::interrupts;

use super::{PLAYER, scaled_us};
use crate::cpu::area;
use crate::nmi::{self, NMI};
use crate::scenario::Run;
use crate::{apic, patience, time};

/// How often a fault comes that comes now and then.
const NOW_AND_THEN: usize = 16;

/// How often a CPU that waits with interrupts off checks whether it is its turn.
const LOOK_EVERY_US: u64 = 2;

/// Whether the player takes part in NMIs. Written while no sequence is played.
static IS_HEARD: AtomicBool = AtomicBool::new(false);

/// The faults of these names. Written before the first sequence.
static SKIP_ACK: AtomicBool = AtomicBool::new(false);
static DOUBLE_RING: AtomicBool = AtomicBool::new(false);
static LOST_SEND: AtomicBool = AtomicBool::new(false);

/// How often one of them could have been made.
static CHANCES: AtomicUsize = AtomicUsize::new(0);

pub(super) fn make_faults(run: &Run) {
    SKIP_ACK.store(run.has_fault("skip-ack"), Ordering::Relaxed);
    DOUBLE_RING.store(run.has_fault("double-ring"), Ordering::Relaxed);
    LOST_SEND.store(run.has_fault("lost-send"), Ordering::Relaxed);
}

fn is_made_now(fault: &AtomicBool) -> bool {
    fault.load(Ordering::Relaxed)
        && CHANCES.fetch_add(1, Ordering::Relaxed) % NOW_AND_THEN == NOW_AND_THEN - 1
}

/// Chooses whether the player takes part in NMIs from now on. Called while no sequence is played.
pub(super) fn listen(heard: bool) {
    IS_HEARD.store(heard, Ordering::Relaxed);
}

/// This CPU's number, if it may take part.
fn player_here() -> Option<usize> {
    area::current_cpu().filter(|cpu| *cpu < MAX_CPUS)
}

/// Calls `dispatch`, and passes it to the player if a sequence is played. In an NMI.
pub(crate) fn around_dispatch(dispatch: impl FnOnce() -> Outcome) {
    let player = if IS_HEARD.load(Ordering::Relaxed) { player_here() } else { None };
    let Some(cpu) = player else {
        dispatch();
        return;
    };
    PLAYER.nmi(&Machine(None), cpu, || {
        let ending = match dispatch() {
            Outcome::Claimed => Ending::Claimed,
            Outcome::Absorbed => Ending::Absorbed,
            Outcome::Deferred => Ending::Deferred,
            Outcome::Unknown => Ending::Unknown,
            _ => Ending::Other,
        };
        (ending, ())
    });
}

/// The handler of a source.
struct Handler(Source);

static HANDLERS: [Handler; Source::ALL.len()] = [
    Handler(Source::Local),
    Handler(Source::LocalMany),
    Handler(Source::Wide),
    Handler(Source::WideMany),
];

// SAFETY: it touches atomics in statics, sends IPIs, and waits for a CPU that does not wait for it,
// or for the time.
unsafe impl NmiHandler for Handler {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if ctx.cpu() >= MAX_CPUS || !PLAYER.asked(&Machine(None), ctx.cpu(), self.0) {
            return Claim::None;
        }
        if is_made_now(&SKIP_ACK) {
            PLAYER.forget_claim(ctx.cpu(), self.0);
        }
        Claim::Handled
    }
}

/// Registers the handlers of all sources, for sequences on `cpus` CPUs.
pub(super) fn register(cpus: usize) -> [Registration; Source::ALL.len()] {
    let [first, second, third, fourth] = &HANDLERS;
    [first, second, third, fourth].map(|handler| register_one(handler, cpus))
}

fn register_one(handler: &'static Handler, cpus: usize) -> Registration {
    let source = handler.0;
    let (class, doorbell) = match source {
        Source::Local => (Class::Local, Doorbell::Local(0)),
        Source::LocalMany => (Class::Local, Doorbell::Local(1)),
        Source::Wide => (Class::Platform, Doorbell::Platform(2)),
        Source::WideMany => (Class::Platform, Doorbell::Platform(3)),
    };
    let edges = if source.may_merge() {
        EdgeModel::PerEvent { late_us: scaled_us(limits::LATE_US), max_late_edges: 1 }
    } else {
        EdgeModel::PerCondition
    };
    let route: &[usize] = match (source, cpus) {
        (Source::WideMany, 2..) => &[1],
        (_, 2..) => &[0, 1],
        _ => &[0],
    };
    let mut spec = HandlerSpec::new(source.name(), class, doorbell, edges);
    if class == Class::Platform {
        spec = spec.delivery(PlatformDelivery::Cpus(route));
    }
    nmi::register_as(&spec, handler)
}

/// The library on this machine, for threads with the registrations of all sources' handlers.
pub(super) struct Machine<'a>(pub(super) Option<&'a [Registration; Source::ALL.len()]>);

impl Machine<'_> {
    fn ring_once(to: usize) {
        if let Err(error) = apic::send_nmi(to) {
            panic!("CPU {to} could not be rung: {error}");
        }
    }

    /// Halts once with interrupts on. Threads, interrupts off.
    fn halt() {
        // SAFETY: privilege level 0, interrupts off, no lock held, and the NMI entry fixes the
        // window up.
        unsafe { idle::wait_for_interrupt() };
        interrupts::disable();
    }
}

impl Subject for Machine<'_> {
    fn send(&self, to: usize) -> bool {
        is_made_now(&LOST_SEND) || NMI.send(to, Request::Call).is_ok()
    }

    fn ring(&self, to: usize) {
        Self::ring_once(to);
        if DOUBLE_RING.load(Ordering::Relaxed) {
            Self::ring_once(to);
        }
    }

    fn owe_poll(&self) {
        NMI.owe_poll();
    }

    fn claim_outside_nmi(&self, source: Source, acknowledge: &mut dyn FnMut()) {
        let registration = self.0.and_then(|registrations| registrations.get(source as usize));
        if let Some(registration) = registration {
            registration.claim_outside_nmi(acknowledge);
        }
    }

    fn tick(&self) {
        NMI.tick();
    }

    fn idle(&self) {
        NMI.entering_idle();
    }

    fn pass_us(&self, us: u32, busy: bool) {
        let us = u64::from(scaled_us(us));
        if busy {
            time::delay_us(us);
            return;
        }
        let start_ticks = time::now_ticks();
        let ticks = time::ticks_per_ms() * us / 1_000;
        while time::now_ticks().saturating_sub(start_ticks) < ticks {
            Self::halt();
        }
    }

    fn rest(&self, busy: bool) {
        if busy {
            patience::between_looks_us(LOOK_EVERY_US);
        } else {
            Self::halt();
        }
    }

    fn wake(&self, cpu: usize) {
        apic::send_wake(cpu);
    }

    fn counts(&self, cpu: usize) -> Counts {
        let stats = NMI.cpu_stats(cpu).unwrap_or_default();
        let recovery = NMI.recovery_stats();
        Counts {
            cpu: [stats.requests, stats.unknown, stats.deferred, stats.absorbed],
            machine: [
                recovery.polls,
                recovery.recovered,
                recovery.paid_by_tick,
                recovery.probes,
                recovery.paid_overdue,
            ],
        }
    }
}
