// SPDX-License-Identifier: MIT OR Apache-2.0
//! `call-all` and `credit-cap-one`: the two simplest dispatchers that ask every handler.
//!
//! They model no single kernel, but what several have in common. NetBSD's `nmi(9)` and illumos call
//! every handler and remember nothing: `call-all`. FreeBSD's `hwpmc_amd` remembers a small number
//! of further edges per CPU, as `credit-cap-one` does here: an NMI with k claims leaves k − 1 edges
//! to be absorbed, of which the policy keeps one at most. So that only the cap is wrong with it,
//! the credit ends as ours does: at the first tick after the longest time that an edge is under
//! way.
//!
//! Both ask every handler, machine-wide ones too, in every NMI. Both count the sends of a CPU's
//! request word, so that two sends which one NMI takes are two claims. The models leave out
//! registration, which has no part in this, and whatever a report leads to.

use latchwork::simulation::{AtomicUsize, Ordering};

use super::{drivers, statics::Statics};
use crate::{
    driver::{clock, lapic, report},
    engine::Fingerprint,
    machine::{Bell, Doing, Ending, Reported, current},
    policy::{Action, Arrival, Ask, Plan, Policy},
};

/// The most CPUs that it runs on: those on which costs are measured.
const CPUS: usize = 256;

/// A dispatcher that asks every handler.
#[derive(Debug)]
pub(super) struct CallAll {
    pub(super) name: &'static str,
    /// How many edges it may have left to absorb.
    pub(super) most_credit: usize,
}

struct Kernel {
    plan: Plan,
    cpus: [PerCpu; CPUS],
}

/// The state of one CPU. Any CPU adds requests, and this CPU takes them, with locked instructions.
/// Only this CPU uses the rest, by plain accesses.
struct PerCpu {
    stops: AtomicUsize,
    other_requests: AtomicUsize,
    credit: AtomicUsize,
    credit_ends_ticks: AtomicUsize,
}

impl PerCpu {
    const fn new() -> Self {
        Self {
            stops: AtomicUsize::new(0),
            other_requests: AtomicUsize::new(0),
            credit: AtomicUsize::new(0),
            credit_ends_ticks: AtomicUsize::new(0),
        }
    }
}

thread_local! {
    static KERNEL: Statics<Kernel> = Statics::new();
}

fn kernel() -> &'static Kernel {
    KERNEL.with(Statics::get)
}

impl CallAll {
    fn claimed(&self, cpu: &PerCpu, claims: usize) -> Ending {
        let credit = cpu.credit.load(Ordering::Relaxed) + claims - 1;
        let credit = credit.min(self.most_credit);
        if credit != 0 {
            let ends_ticks = clock::now_ticks() + current().timing.late_us;
            cpu.credit_ends_ticks.store(ends_ticks as usize, Ordering::Relaxed);
            cpu.credit.store(credit, Ordering::Relaxed);
            drivers::note(|| format!("has a credit of {credit}"));
        }
        Ending::Claimed
    }

    fn unclaimed(&self, cpu: &PerCpu, serial: usize) -> Ending {
        let credit = cpu.credit.load(Ordering::Relaxed);
        if credit != 0 {
            cpu.credit.store(credit - 1, Ordering::Relaxed);
            return Ending::Absorbed;
        }
        report::report(serial, Reported::Unknown);
        Ending::Unknown
    }
}

impl Policy for CallAll {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, action: Action) -> bool {
        matches!(action, Action::Send { .. }) || drivers::can_act_without_the_nmi_code(action)
    }

    fn set_up(&self, plan: &Plan) {
        KERNEL.with(|statics| {
            statics.boot(|| Kernel { plan: *plan, cpus: [const { PerCpu::new() }; CPUS] });
        });
        plan.attended.iter().copied().for_each(report::attended);
    }

    fn nmi(&self, arrival: &Arrival) -> Ending {
        let kernel = kernel();
        let cpu = &kernel.cpus[arrival.cpu];
        let stops = cpu.stops.swap(0, Ordering::AcqRel);
        let sends = stops + cpu.other_requests.swap(0, Ordering::AcqRel);
        if sends != 0 {
            report::served(sends, sends);
            drivers::note(|| format!("takes {sends} requests"));
        }
        let mut claims = sends;
        for bell in kernel.plan.attended {
            let claimed = drivers::ask(*bell) != 0;
            claims += usize::from(claimed);
            if let (true, Bell::Lvt, Some(action)) = (claimed, bell, kernel.plan.on_pmi) {
                self.act(action);
            }
        }
        let ending = match claims {
            0 => self.unclaimed(cpu, arrival.serial),
            _ => self.claimed(cpu, claims),
        };
        if stops != 0 {
            let machine = current();
            let until_us = machine.with(|state| state.now_us) + machine.timing.park_us;
            machine.remain(arrival.cpu, Doing::Parked { until_us });
        }
        ending
    }

    fn tick(&self) {
        let cpu = &kernel().cpus[current().this_cpu()];
        if cpu.credit.load(Ordering::Relaxed) != 0
            && clock::now_ticks() as usize > cpu.credit_ends_ticks.load(Ordering::Relaxed)
        {
            cpu.credit.store(0, Ordering::Relaxed);
        }
    }

    fn work_interrupt(&self) {}

    fn idle_entry(&self) {}

    fn act(&self, action: Action) {
        let Action::Send { to, ask } = action else {
            drivers::act_without_the_nmi_code(action);
            return;
        };
        let cpu = &kernel().cpus[to];
        report::send_begins(to);
        let requests = if ask == Ask::Stop { &cpu.stops } else { &cpu.other_requests };
        requests.fetch_add(1, Ordering::Release);
        lapic::send_nmi(to);
        report::send_ends(true);
    }

    fn fold(&self, _: &mut Fingerprint) {}
}
