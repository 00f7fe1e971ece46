// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel that is built on Latchwork, as far as it concerns NMIs.

use std::{cell::RefCell, mem::ManuallyDrop};

use latchwork::{Nmi, PerCpu, Registration, Request, SendError, Ticket, Urgency, Work};

use super::{handlers, platform::SimPlatform};
use crate::{
    driver::{clock, external, interrupts, memory, pmu, port61, report},
    engine::{self, Access},
    machine::{Bell, Doing, Route, current},
    policy::{Action, Ask, Plan},
};

/// The most CPUs that an explored scenario has. Their per-CPU areas lie at fixed addresses.
const CPUS: usize = 4;

/// What a kernel has in its `static`s.
pub(super) struct Kernel {
    pub(super) nmi: Nmi<SimPlatform>,
    areas: [PerCpu; CPUS],
    work: [Work; 3],
    pub(super) plan: Plan,
    registrations: RefCell<Vec<(Bell, ManuallyDrop<Registration>)>>,
    tickets: RefCell<Vec<(Bell, Ticket)>>,
}

impl Kernel {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            nmi: Nmi::new(SimPlatform),
            areas: [const { PerCpu::new() }; CPUS],
            work: [Work::new(&run::<0>), Work::new(&run::<1>), Work::new(&run::<2>)],
            plan,
            registrations: RefCell::default(),
            tickets: RefCell::default(),
        }
    }

    /// The areas of `cpus` CPUs.
    pub(super) fn areas(&'static self, cpus: usize) -> &'static [PerCpu] {
        match self.areas.get(..cpus) {
            Some(areas) => areas,
            None => (0..cpus).map(|_| PerCpu::new()).collect::<Vec<_>>().leak(),
        }
    }

    /// The doorbells whose handlers are registered, and those whose removal is not over.
    pub(super) fn bells(&self) -> Vec<Bell> {
        let registered = self.registrations.borrow();
        let tickets = self.tickets.borrow();
        let registered = registered.iter().map(|(bell, _)| *bell);
        registered.chain(tickets.iter().map(|(bell, _)| *bell)).collect()
    }

    /// Registers that doorbell's handler: that of the trace buffer, where that of the counters is
    /// registered already.
    pub(super) fn register(&'static self, bell: Bell) {
        let spec = handlers::spec(bell, current());
        let registration = match bell {
            Bell::Lvt if self.bells().contains(&bell) => self.nmi.register(&spec, &handlers::Trace),
            Bell::Lvt => self.nmi.register(&spec, &handlers::Pmis),
            Bell::External(index) => {
                self.nmi.register(&spec, &handlers::EXTERNALS[usize::from(index)])
            }
            _ => self.nmi.register(&spec, &handlers::Line61),
        };
        let registration = ManuallyDrop::new(registration.expect("there is room"));
        self.registrations.borrow_mut().push((bell, registration));
        report::attended(bell);
    }

    fn take_registration(&self, bell: Bell) -> Option<Registration> {
        let mut registrations = self.registrations.borrow_mut();
        let place = registrations.iter().position(|(one, _)| *one == bell)?;
        Some(ManuallyDrop::into_inner(registrations.remove(place).1))
    }

    /// Does what a scenario asks for.
    pub(super) fn act(&'static self, action: Action) {
        match action {
            Action::Send { to, ask } => self.send(to, ask),
            Action::Queue { item, on, lazy } => self.queue(item, on, lazy),
            Action::Register(bell) => self.register(bell),
            Action::Remove(bell) => {
                if let Some(registration) = self.take_registration(bell) {
                    report::leaving(bell);
                    if registration.remove().is_ok() {
                        report::removed(bell);
                    }
                }
            }
            Action::TryRemove(bell) => {
                if let Some(registration) = self.take_registration(bell) {
                    report::leaving(bell);
                    let ticket = registration.try_remove();
                    self.tickets.borrow_mut().push((bell, ticket));
                }
            }
            Action::AwaitRemoval(bell) => self.await_removal(bell),
            Action::Mask(bell) => set_masked(bell, true),
            Action::Unmask(bell) => {
                set_masked(bell, false);
                self.nmi.owe_poll();
                report::attended(bell);
            }
            Action::ClaimOutside(bell) => self.claim_outside(bell),
            Action::StopTick => {
                let were_on = interrupts::disable();
                interrupts::stop_tick();
                self.nmi.tick_stopped();
                interrupts::restore(were_on);
            }
            Action::StartTick => {
                let were_on = interrupts::disable();
                interrupts::start_tick();
                self.nmi.tick_restarted();
                interrupts::restore(were_on);
            }
            Action::GoOffline => self.go_offline(),
            Action::ComeOnline => self.come_online(),
            Action::MarkOffline(cpu) => self.mark_offline(cpu),
            Action::Forget => memory::forget(),
            Action::SetRoute(bell, route) => self.set_route(bell, route),
            Action::ResetClock(reading_ticks) => clock::reset(reading_ticks),
        }
    }

    fn send(&'static self, to: usize, ask: Ask) {
        let request = match ask {
            Ask::Stop => Request::Stop,
            Ask::Backtrace => Request::Backtrace,
            Ask::Call => Request::Call,
        };
        report::send_begins(to);
        if ask == Ask::Stop {
            report::asks_to_park(to);
        }
        let sent = self.nmi.send(to, request);
        if matches!(sent, Err(SendError::NotRung(_))) {
            report::send_left(to);
        }
        report::send_ends(sent.is_ok());
    }

    fn queue(&'static self, item: usize, on: Option<usize>, lazy: bool) {
        let urgency = if lazy { Urgency::Lazy } else { Urgency::Now };
        let work = &self.work[item];
        report::queue_begins(item);
        let queued = match on {
            Some(cpu) => self.nmi.queue_on(cpu, work, urgency),
            None => self.nmi.queue(work, urgency),
        };
        report::queue_ends(item, queued == Ok(true));
    }

    fn await_removal(&self, bell: Bell) {
        while let Some(mut ticket) = self.take_ticket(bell) {
            if ticket.is_over() {
                report::removed(bell);
                return;
            }
            self.tickets.borrow_mut().push((bell, ticket));
            engine::relax();
        }
    }

    fn take_ticket(&self, bell: Bell) -> Option<Ticket> {
        let mut tickets = self.tickets.borrow_mut();
        let place = tickets.iter().position(|(one, _)| *one == bell)?;
        Some(tickets.remove(place).1)
    }

    /// Acts as a driver that stops: reads its condition, with interrupts off, and consumes it if it
    /// is set.
    fn claim_outside(&self, bell: Bell) {
        let were_on = interrupts::disable();
        if has_condition(bell) {
            if let Some(registration) = self.take_registration(bell) {
                report::claim_outside(bell, || {
                    registration.claim_outside_nmi(|| {
                        take_time();
                        acknowledge(bell);
                    });
                });
                self.registrations.borrow_mut().push((bell, ManuallyDrop::new(registration)));
            }
        }
        interrupts::restore(were_on);
    }

    fn go_offline(&'static self) {
        interrupts::disable();
        interrupts::stop_tick();
        pmu::stop_counters(true);
        self.nmi.go_offline().expect("this CPU is in no NMI");
        if !memory::forgets() {
            self.nmi.run_work();
        }
        report::went_offline();
    }

    /// What a watchdog does about a CPU that executes nothing any more.
    fn mark_offline(&'static self, cpu: usize) {
        let hangs = || current().with(|state| state.cpus[cpu].hangs());
        if engine::hardware(Access::Local, hangs) {
            // SAFETY: 1, 2. It hangs, and nothing starts it again. 3. One script does this.
            unsafe { self.nmi.mark_offline(cpu) }.expect("there is such a CPU");
            report::marked_offline(cpu);
            if !memory::forgets() {
                self.nmi.run_work();
            }
        }
    }

    /// Has `bell` ring other CPUs: the old route is closed, the library told, the new one opened.
    fn set_route(&'static self, bell: Bell, route: Route) {
        let Bell::External(index) = bell else { return };
        external::set_masked(index, true);
        let registrations = self.registrations.borrow();
        let id = registrations.iter().find(|(one, _)| *one == bell).map(|(_, it)| it.id());
        drop(registrations);
        if let Some(id) = id {
            self.nmi.set_delivery(id, handlers::delivery(route)).expect("it is a Platform handler");
        }
        external::set_route(index, route);
        external::set_masked(index, false);
        self.nmi.owe_poll();
    }

    fn come_online(&'static self) {
        let dropped = self.requests_dropped();
        self.nmi.come_online().expect("this CPU is in no NMI");
        report::dropped(self.requests_dropped() - dropped);
        report::came_online();
        if !memory::forgets() {
            self.nmi.run_work();
        }
        self.claim_outside(Bell::Lvt);
        pmu::unmask();
        pmu::stop_counters(false);
        interrupts::start_tick();
        self.nmi.tick_restarted();
        interrupts::restore(true);
    }

    /// How many deferred edges of this CPU are not settled.
    pub(super) fn unsettled_edges(&self) -> usize {
        let stats = self.nmi.cpu_stats(current().this_cpu()).unwrap_or_default();
        stats.edges.saturating_sub(stats.claimed + stats.absorbed + stats.unknown)
    }

    /// How many requests this CPU has dropped so far.
    pub(super) fn requests_dropped(&self) -> usize {
        let stats = self.nmi.cpu_stats(current().this_cpu());
        stats.map_or(0, |stats| stats.requests_dropped)
    }
}

fn run<const ITEM: usize>(_: usize) {
    report::ran(ITEM);
}

fn set_masked(bell: Bell, masked: bool) {
    if let Bell::External(index) = bell {
        external::set_masked(index, masked);
    }
}

/// A driver between its look and its acknowledgement.
fn take_time() {
    let machine = current();
    if machine.timing.claim_us != 0 {
        let until_us = machine.with(|state| state.now_us) + machine.timing.claim_us;
        machine.remain(machine.this_cpu(), Doing::Busy { until_us });
    }
}

/// Consumes the condition of a machine-wide doorbell, which is set.
fn acknowledge(bell: Bell) {
    match bell {
        Bell::Lvt => pmu::acknowledge(pmu::read_status()),
        Bell::External(index) => external::acknowledge(index),
        _ => {
            port61::service();
        }
    }
}

/// Whether the condition is set.
fn has_condition(bell: Bell) -> bool {
    match bell {
        Bell::Lvt => pmu::read_status() != 0,
        Bell::External(index) => external::read_status(index),
        _ => port61::read_status() != 0,
    }
}
