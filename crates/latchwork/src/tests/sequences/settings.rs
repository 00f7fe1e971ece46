// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handlers that come and go, and settings that change.

use super::{
    machine::{Ring, SPECS, State, lasts},
    play::Play,
    step::CPUS,
};
use crate::{Class, Limits, PlatformDelivery};

impl Play {
    /// A CPU that registers and sets, where nothing is amid anything.
    pub(super) fn writer(&self) -> Option<usize> {
        let at_rest = self.with(|state| state.nesting) == 0;
        (0..CPUS).find(|cpu| at_rest && self.is_online(*cpu) && self.is_at_rest(*cpu))
    }

    pub(super) fn register(&'static self, source: usize) {
        let is_alive = self.with(|state| state.is_alive[source]);
        let Some(cpu) = self.writer().filter(|_| !is_alive) else {
            return;
        };
        let spec = match self.scope.elsewhere {
            true => SPECS[source],
            false => SPECS[source].delivery(PlatformDelivery::All),
        };
        let now = self.machine.now.get();
        self.with(|state| {
            state.is_alive[source] = true;
            state.change_route(source, State::route_of(spec), now);
            if spec.class == Class::Platform {
                for (cpu, _) in state.rang_before.iter().enumerate().filter(|(_, rang)| **rang) {
                    state.former[source][cpu] = now + state.lasts;
                }
            }
        });
        let handler = &self.sources[source];
        let registered = self.call(cpu, || self.nmi.register(&spec, handler));
        match registered {
            Ok(it) => {
                self.registrations[source].set(Some(it));
                self.with(|state| state.is_registered[source] = true);
            }
            Err(_) => self.with(|state| state.is_alive[source] = false),
        }
    }

    pub(super) fn remove(&'static self, source: usize, tries: bool) {
        let cpu = self.writer();
        let Some(registration) = self.registrations[source].take() else {
            return;
        };
        match cpu {
            _ if tries => {
                self.with(|state| state.is_registered[source] = false);
                self.machine.abandon(source);
                let ticket = self.call(self.machine.cpu.get(), || registration.try_remove());
                self.tickets.borrow_mut().push((source, ticket));
            }
            None => self.registrations[source].set(Some(registration)),
            Some(cpu) => {
                self.with(|state| state.is_registered[source] = false);
                self.machine.abandon(source);
                match self.call(cpu, || registration.remove_within_ms(2)) {
                    Ok(()) => self.is_gone(source),
                    Err(error) => {
                        self.registrations[source].set(Some(error.registration));
                        self.with(|state| state.is_registered[source] = true);
                    }
                }
            }
        }
    }

    fn is_gone(&self, source: usize) {
        self.with(|state| {
            state.is_alive[source] = false;
            if SPECS[source].class == Class::Platform {
                let routes = state.rang_before.iter_mut().zip(state.routes[source]);
                routes.for_each(|(rang, rings)| *rang |= rings);
            }
        });
    }

    pub(super) fn end_removals(&self) {
        self.tickets.borrow_mut().retain_mut(|(source, ticket)| {
            let is_over = ticket.is_over();
            if is_over {
                self.is_gone(*source);
            }
            !is_over
        });
    }

    pub(super) fn set_route(&'static self, source: usize, route: &'static [usize]) {
        let Some(cpu) = self.writer().filter(|_| SPECS[source].class == Class::Platform) else {
            return;
        };
        let Some(registration) = self.registrations[source].take() else {
            return;
        };
        let now = self.machine.now.get();
        self.with(|state| {
            let rang = state.routes[source];
            let both = core::array::from_fn(|cpu| rang[cpu] || route.contains(&cpu));
            state.change_route(source, both, now);
            // The kernel has closed the old route, and opens the new one after.
            state.open[source] = core::array::from_fn(|cpu| rang[cpu] && route.contains(&cpu));
        });
        let delivery = PlatformDelivery::Cpus(route);
        let set = self.call(cpu, || self.nmi.set_delivery(registration.id(), delivery));
        self.registrations[source].set(Some(registration));
        if set.is_ok() {
            self.with(|state| {
                let route = core::array::from_fn(|cpu| route.contains(&cpu));
                state.change_route(source, route, now);
                let is_of_it = |ring: &Ring| ring.of.is_some_and(|(of, _)| of == source);
                // Their condition may be claimed later, when they ring here no more.
                for ring in state.rings.iter_mut().filter(|ring| is_of_it(ring)) {
                    ring.is_excused |= ring.due.is_none() && !route[ring.cpu];
                }
            });
        }
    }

    /// What is under way, or waits, goes by what was set before: nothing has to explain it.
    pub(super) fn excuse_all(&self) {
        (0..CPUS).for_each(|cpu| self.excuse_rings(cpu));
        self.excuse_waiting();
    }

    pub(super) fn excuse_waiting(&self) {
        self.with(|state| state.cpus.iter_mut().for_each(|it| it.ledger.excuse_waiting()));
    }

    pub(super) fn set_limits(&'static self, which: usize) {
        let small = Limits { late_us: 1_000, cap_us: 5_000, hold_us: 2_000, ..Limits::BARE_METAL };
        let Some(cpu) = self.writer() else {
            return;
        };
        let limits = [Limits::BARE_METAL, Limits::HYPERVISOR, small][which];
        self.excuse_all();
        let now = self.machine.now.get();
        self.with(|state| {
            let lasts = lasts(limits);
            if lasts > state.lasts {
                // What was granted before goes by the new times.
                state.lasts = lasts;
                state.cpus.iter_mut().for_each(|it| it.ledger.set_back(0, now, lasts));
            }
        });
        if self.call(cpu, || self.nmi.set_limits(limits)).is_ok() {
            self.with(|state| state.limits = limits);
        }
        self.excuse_all();
    }

    pub(super) fn reset_clocks(&'static self, ticks: u64) {
        if self.with(|state| state.nesting) == 0 {
            self.excuse_all();
            let by = self.machine.shown.replace(ticks).wrapping_sub(ticks) as i64;
            let now = self.machine.now.get();
            self.with(|state| {
                let lasts = state.lasts;
                state.cpus.iter_mut().for_each(|it| it.ledger.set_back(by, now, lasts));
                // The moment until which a CPU is on a route that it has left may come again.
                let former = state.former.iter_mut().flatten().filter(|until| **until != 0);
                former.for_each(|until| *until = u64::MAX);
            });
        }
    }
}
