// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library on the simulated machine, as sequences need it.

use std::{cell::Cell, mem::ManuallyDrop};

use latchwork::{
    AbsorbedNmi, AfterLeave, Claim, Class, Doorbell, EdgeModel, Fatal, HandlerSpec, InterruptState,
    Interrupted, Limits, Mode, Nmi, NmiContext, NmiHandler, Outcome, PerCpu, Platform,
    PlatformDelivery, Registration, Request, RingError, UnknownNmi,
};
use latchwork_sequence::{Counts, Ending, MAX_CPUS, Player, Source, Subject, time};

use super::Performance;
use crate::{
    driver::{clock, interrupts, lapic},
    engine::{self, Fingerprint, Place},
    machine::{self, Doing, current},
    policy::{Action, Arrival, Plan, Policy, Recovery},
};

/// Plays the sequence of a seed where a kernel would idle.
pub(super) struct Performer {
    pub(super) seed: u64,
    pub(super) recovery: Recovery,
}

/// The library and the player, at the same place in each execution.
struct Stage {
    nmi: Nmi<SimulatedMachine>,
    areas: [PerCpu; MAX_CPUS],
    player: Player,
    registrations: [Cell<Option<ManuallyDrop<Registration>>>; Source::ALL.len()],
    /// How many CPUs have played their part.
    through: Cell<usize>,
    begun: [Cell<bool>; MAX_CPUS],
}

thread_local! {
    static PLACE: Place<Stage> = Place::new();
    static STAGE: Cell<Option<&'static Stage>> = const { Cell::new(None) };
}

fn stage() -> &'static Stage {
    STAGE.get().expect("the policy is set up before time begins")
}

/// The result of the sequence that was last set up, and whether it was played to its end.
pub(super) fn performance() -> (Performance, bool) {
    let Stage { player, through, .. } = stage();
    let performance = Performance { played: player.played(), log: player.log().to_string() };
    (performance, through.get() == current().hardware.cpus)
}

/// The handler of a source.
struct Handler(Source);

static HANDLERS: [Handler; Source::ALL.len()] = [
    Handler(Source::Local),
    Handler(Source::LocalMany),
    Handler(Source::Wide),
    Handler(Source::WideMany),
];

// SAFETY: what a sequence does in a handler is NMI-safe, and it consumes what it claims.
unsafe impl NmiHandler for Handler {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let is_set = stage().player.asked(&Simulated, ctx.cpu(), self.0);
        if is_set { Claim::Handled } else { Claim::None }
    }
}

fn register(stage: &'static Stage, source: Source, cpus: usize) -> Registration {
    let place = source as usize;
    let (class, doorbell) = if source.is_local() {
        (Class::Local, Doorbell::Local(place as u8))
    } else {
        (Class::Platform, Doorbell::Platform(place as u16))
    };
    let edges = if source.may_merge() {
        EdgeModel::PerEvent { late_us: time::LATE_US, max_late_edges: 1 }
    } else {
        EdgeModel::PerCondition
    };
    let route: Vec<_> = (0..cpus).filter(|cpu| source.rings(*cpu, 0, cpus)).collect();
    let mut spec = HandlerSpec::new(source.name(), class, doorbell, edges);
    if class == Class::Platform {
        spec = spec.delivery(PlatformDelivery::Cpus(&route));
    }
    stage.nmi.register(&spec, &HANDLERS[place]).expect("there is room")
}

impl Policy for Performer {
    fn name(&self) -> &'static str {
        "latchwork-sequence"
    }

    fn can(&self, _: Action) -> bool {
        false
    }

    fn set_up(&self, _: &Plan) {
        STAGE.set(None);
        let build = || Stage {
            nmi: Nmi::new(SimulatedMachine),
            areas: [const { PerCpu::new() }; MAX_CPUS],
            player: Player::new(),
            registrations: [const { Cell::new(None) }; Source::ALL.len()],
            through: Cell::new(0),
            begun: [const { Cell::new(false) }; MAX_CPUS],
        };
        // SAFETY: the former stage was reached through `STAGE`, by CPUs of an execution that is
        // over, and by its own registrations, which are never dropped.
        let stage = PLACE.with(|place| unsafe { place.rebuild(build) });
        STAGE.set(Some(stage));
        let cpus = current().hardware.cpus;
        stage.nmi.init(&stage.areas[..cpus]).expect("it is new");
        for cpu in (0..cpus).rev() {
            current().drive(cpu);
            stage.nmi.come_online().expect("it is in no NMI");
        }
        let limits = Limits {
            late_us: time::LATE_US,
            cap_us: time::CAP_US,
            tick_period_us: time::LATE_US,
            overdue_us: time::CAP_US,
            hold_us: time::CAP_US,
            ..Limits::BARE_METAL
        };
        stage.nmi.set_limits(limits).expect("they agree");
        stage.nmi.set_recovery(match self.recovery {
            Recovery::Poll => latchwork::Recovery::Poll,
            Recovery::Probe => latchwork::Recovery::ProbeNmi,
        });
        for source in Source::ALL {
            let registration = ManuallyDrop::new(register(stage, source, cpus));
            stage.registrations[source as usize].set(Some(registration));
        }
        stage.player.begin(self.seed, cpus);
    }

    fn nmi(&self, arrival: &Arrival) -> machine::Ending {
        let interrupted = Interrupted {
            ip: arrival.serial,
            sp: 0,
            fp: 0,
            mode: Mode::Kernel,
            frame: std::ptr::null(),
            sources: None,
        };
        let dispatch = || {
            // SAFETY: 1. The world calls this in NMI context, which ends after it returns. 2. Only
            // NMIs interrupt it. 3. No handler looks at the frame.
            match unsafe { stage().nmi.dispatch(&interrupted) } {
                Outcome::Claimed => (Ending::Claimed, machine::Ending::Claimed),
                Outcome::Absorbed => (Ending::Absorbed, machine::Ending::Absorbed),
                Outcome::Deferred => (Ending::Deferred, machine::Ending::Deferred),
                Outcome::Unknown => (Ending::Unknown, machine::Ending::Unknown),
                _ => (Ending::Other, machine::Ending::TurnedAway),
            }
        };
        stage().player.nmi(&Simulated, arrival.cpu, dispatch)
    }

    fn tick(&self) {}

    fn work_interrupt(&self) {
        stage().nmi.run_work();
    }

    fn idle_entry(&self) {
        let (stage, cpu) = (stage(), current().this_cpu());
        if !stage.begun[cpu].replace(true) {
            stage.player.play(&Simulated, cpu);
            stage.through.set(stage.through.get() + 1);
        }
    }

    fn act(&self, _: Action) {}

    fn fold(&self, _: &mut Fingerprint) {}
}

/// The library on the simulated machine.
struct Simulated;

impl Simulated {
    fn remain(&self, doing: Doing, busy: bool) {
        let machine = current();
        let cpu = machine.this_cpu();
        interrupts::restore(!busy);
        machine.remain(cpu, doing);
        interrupts::disable();
    }
}

impl Subject for Simulated {
    fn send(&self, to: usize) -> bool {
        stage().nmi.send(to, Request::Call).is_ok()
    }

    fn ring(&self, to: usize) {
        lapic::send_nmi(to);
        // What a sequence does next is no access, at which an NMI could come.
        engine::hardware(engine::Access::Local, || ());
    }

    fn owe_poll(&self) {
        stage().nmi.owe_poll();
    }

    fn claim_outside_nmi(&self, source: Source, acknowledge: &mut dyn FnMut()) {
        let place = &stage().registrations[source as usize];
        if let Some(registration) = place.take() {
            registration.claim_outside_nmi(acknowledge);
            place.set(Some(registration));
        }
    }

    fn tick(&self) {
        stage().nmi.tick();
    }

    fn idle(&self) {
        stage().nmi.entering_idle();
    }

    fn pass_us(&self, us: u32, busy: bool) {
        let until_us = current().with(|state| state.now_us) + u64::from(us);
        let doing = if busy { Doing::Busy { until_us } } else { Doing::Waiting { until_us } };
        self.remain(doing, busy);
    }

    fn rest(&self, busy: bool) {
        self.remain(Doing::Halted, busy);
    }

    fn wake(&self, cpu: usize) {
        current().change_cpu(cpu, |cpu| {
            if cpu.doing == Doing::Halted {
                cpu.doing = Doing::Running;
            }
        });
    }

    fn counts(&self, cpu: usize) -> Counts {
        let stats = stage().nmi.cpu_stats(cpu).unwrap_or_default();
        let recovery = stage().nmi.recovery_stats();
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

/// The machine of this thread, as the library's platform.
#[derive(Debug)]
struct SimulatedMachine;

// SAFETY: 1. The number is that of the simulated CPU that the code runs on, which never changes. 2.
// The world returns from an NMI only after dispatch has. 3. A simulated CPU's code stays on it, and
// the machine delivers no interrupt while its flag is clear. 4. `fatal` ends the execution by a
// panic, which is never caught inside it. 5. A simulated CPU gives way at choice points only.
unsafe impl Platform for SimulatedMachine {
    fn current_cpu(&self) -> Option<usize> {
        Some(current().this_cpu())
    }

    fn now_ticks(&self) -> u64 {
        clock::now_ticks()
    }

    fn ticks_per_ms(&self) -> u64 {
        clock::TICKS_PER_MS
    }

    fn ring(&self, cpu: usize) -> Result<(), RingError> {
        if lapic::send_nmi(cpu) { Ok(()) } else { Err(RingError::Busy) }
    }

    fn disable_interrupts(&self) -> InterruptState {
        InterruptState(interrupts::disable().into())
    }

    unsafe fn restore_interrupts(&self, state: InterruptState) {
        interrupts::restore(state.0 != 0);
    }

    fn relax(&self) {
        engine::relax();
    }

    fn interrupt_for_work(&self, cpu: usize) {
        lapic::send_work_interrupt(cpu);
    }

    fn interrupts_are_on(&self) -> bool {
        interrupts::are_on()
    }

    fn restart_tick(&self) {}

    fn report_unknown(&self, _: &UnknownNmi) {}

    fn report_absorbed(&self, _: &AbsorbedNmi) {}

    fn after_leave(&self, _: &NmiContext<'_>, _: AfterLeave) {}

    fn fatal(&self, error: Fatal) -> ! {
        panic!("{error}")
    }
}
