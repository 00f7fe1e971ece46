// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our policy: the real source, with the machine's registers behind its handlers.

mod deeds;
mod handlers;
mod kernel;
mod platform;
mod standing;

use std::{cell::Cell, hash::Hash};

use latchwork::{Interrupted, Limits, Mode, Outcome, SourceMap, UnknownPolicy};

use self::kernel::Kernel;
use super::{Action, Arrival, Plan, Policy, Standing};
use crate::{
    driver::{memory, report},
    engine::{Fingerprint, Place},
    machine::{Ending, Machine, current},
};

/// How a tick pays a debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// By a poll outside NMIs.
    Poll,
    /// By an NMI that the CPU sends to itself.
    Probe,
}

/// Latchwork.
#[derive(Debug)]
pub struct Latchwork(pub Recovery);

thread_local! {
    static PLACE: Place<Kernel> = Place::new();
    static KERNEL: Cell<Option<&'static Kernel>> = const { Cell::new(None) };
}

/// The kernel of this thread's machine.
fn kernel() -> &'static Kernel {
    KERNEL.get().expect("the policy is set up before time begins")
}

impl Policy for Latchwork {
    fn name(&self) -> &'static str {
        match self.0 {
            Recovery::Poll => "latchwork-poll",
            Recovery::Probe => "latchwork-probe",
        }
    }

    fn can(&self, _: Action) -> bool {
        true
    }

    fn set_up(&self, plan: &Plan) {
        KERNEL.set(None);
        // SAFETY: the former kernel was reached through `KERNEL`, by CPUs of an execution that is
        // over, and by its own registrations, which are never dropped.
        let kernel = PLACE.with(|place| unsafe { place.rebuild(|| Kernel::new(*plan)) });
        KERNEL.set(Some(kernel));
        let machine = current();
        kernel.nmi.init(kernel.areas(machine.hardware.cpus)).expect("it is new");
        let absent = machine.hardware.absent;
        for cpu in (0..machine.hardware.cpus).rev().filter(|cpu| !absent.contains(cpu)) {
            machine.drive(cpu);
            kernel.nmi.come_online().expect("it is in no NMI");
        }
        kernel.nmi.set_limits(limits(machine)).expect("they agree");
        kernel.nmi.set_recovery(match self.0 {
            Recovery::Poll => latchwork::Recovery::Poll,
            Recovery::Probe => latchwork::Recovery::ProbeNmi,
        });
        // Under this policy the library makes each report, and not one in 100 ms.
        kernel.nmi.set_unknown_policy(UnknownPolicy::Panic);
        for bell in plan.attended {
            kernel.register(*bell);
        }
    }

    fn nmi(&self, arrival: &Arrival) -> Ending {
        let kernel = kernel();
        let interrupted = Interrupted {
            ip: arrival.serial,
            sp: 0,
            fp: 0,
            mode: Mode::Kernel,
            frame: std::ptr::null(),
            sources: arrival.sources.map(SourceMap::from_bits),
        };
        let dropped = kernel.requests_dropped();
        let deeds = deeds::so_far();
        // SAFETY: 1. The world calls this in NMI context, which ends after it returns. 2. Only NMIs
        // interrupt it. 3. No handler looks at the frame.
        let outcome = unsafe { kernel.nmi.dispatch(&interrupted) };
        deeds::log_since(deeds);
        match outcome {
            Outcome::Claimed => Ending::Claimed,
            Outcome::Absorbed => Ending::Absorbed,
            Outcome::Deferred => Ending::Deferred,
            Outcome::Unknown => Ending::Unknown,
            _ => {
                report::dropped(kernel.requests_dropped() - dropped);
                Ending::TurnedAway
            }
        }
    }

    fn tick(&self) {
        let deeds = deeds::so_far();
        kernel().nmi.tick();
        deeds::log_since(deeds);
        report::unsettled(kernel().unsettled_edges());
    }

    fn work_interrupt(&self) {
        kernel().nmi.run_work();
    }

    fn idle_entry(&self) {
        if !memory::forgets() {
            kernel().nmi.entering_idle();
        }
    }

    fn act(&self, action: Action) {
        kernel().act(action);
    }

    fn standing(&self, cpu: usize) -> Standing {
        standing::of(cpu)
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        kernel().bells().hash(fingerprint);
    }
}

/// The library's limits, with the scenario's times.
fn limits(machine: &Machine) -> Limits {
    let timing = &machine.timing;
    Limits {
        late_us: timing.late_us as u32,
        cap_us: timing.cap_us as u32,
        tick_period_us: machine.hardware.tick_period_us as u32,
        overdue_us: timing.overdue_us as u32,
        hold_us: timing.hold_us as u32,
        unknowns_per_100_ms: timing.unknowns_per_100_ms,
    }
}
