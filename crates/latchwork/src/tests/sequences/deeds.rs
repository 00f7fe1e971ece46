// SPDX-License-Identifier: MIT OR Apache-2.0
//! What CPUs do, one step each.

use std::format;

use super::{
    machine::{SPECS, TICKS_PER_US},
    play::Play,
    step::CPUS,
};
use crate::{Class, Request, SendError, Urgency};

impl Play {
    pub(super) fn send(&'static self, from: usize, to: usize, request: Request) {
        if self.with(|state| state.cpus[from].is_dead || !state.cpus[from].is_online) {
            return;
        }
        let (was_online, life) = self.with(|state| {
            let it = &mut state.cpus[to];
            it.stops_under_way += usize::from(request == Request::Stop);
            (it.is_online, it.life)
        });
        let began = self.machine.now.get();
        self.with(|state| state.sends.push(began));
        let sent = self.call(from, || self.nmi.send(to, request));
        let accepted = matches!(sent, Ok(()) | Err(SendError::NotRung(_)));
        self.with(|state| {
            state.sends.pop();
            let it = &mut state.cpus[to];
            it.stops_under_way -= usize::from(request == Request::Stop);
            it.stops += usize::from(request == Request::Stop && accepted);
            if it.life != life {
                it.is_unsure = true;
                let rings = state.rings.iter_mut().filter(|ring| ring.cpu == to);
                rings.for_each(|ring| ring.is_excused = true);
            } else if accepted {
                it.accepted[request as usize] += 1;
            }
        });
        // In its first NMI a CPU that was never started may be online already.
        let comes = self.with(|state| state.cpus[to].life == 0 && state.cpus[to].nmis != 0);
        if accepted && !was_online && !comes && !self.is_online(to) {
            self.machine.violated(format!("a send to CPU {to} is accepted, which is not there"));
        }
    }

    pub(super) fn tick(&'static self, cpu: usize) {
        if !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        let now = self.machine.now.get();
        self.call(cpu, || {
            self.with(|state| state.cpus[cpu].interrupts_off = true);
            self.nmi.tick();
            self.with(|state| state.cpus[cpu].interrupts_off = false);
        });
        let waits = self.with(|state| {
            let since = state.cpus[cpu].ledger.waits_since()?;
            (since + state.lasts < now).then(|| now - since)
        });
        if let Some(ticks) = waits {
            self.machine.violated(format!("CPU {cpu}: an edge waits for {ticks} ticks"));
        }
    }

    /// The interrupt for work, if it is pending.
    pub(super) fn interrupt(&'static self, cpu: usize) {
        if !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        if self.with(|state| core::mem::take(&mut state.cpus[cpu].is_interrupted)) {
            let ticked = self.with(|state| state.cpus[cpu].ticks);
            self.call(cpu, || self.nmi.run_work());
            if !ticked && self.with(|state| state.cpus[cpu].ticks) {
                self.call(cpu, || self.nmi.tick_restarted());
            }
        }
    }

    pub(super) fn go_offline(&'static self, cpu: usize) {
        let others = (0..CPUS).any(|other| other != cpu && self.is_online(other));
        if !others || !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        // It waits for the poll of another CPU, which cannot go on here.
        if self.with(|state| state.nesting != 0 && state.cpus[cpu].ledger.waiting() != 0) {
            return;
        }
        self.with(|state| state.cpus[cpu].is_leaving = true);
        let gone = self.call(cpu, || self.nmi.go_offline());
        self.with(|state| state.cpus[cpu].is_leaving = false);
        if gone.is_ok() {
            self.is_away(cpu);
            self.call(cpu, || self.nmi.run_work());
        }
    }

    pub(super) fn is_away(&self, cpu: usize) {
        self.with(|state| {
            state.cpus[cpu].is_online = false;
            state.cpus[cpu].is_interrupted = false;
        });
        self.machine.forget_local_conditions(cpu);
    }

    pub(super) fn excuse_rings(&self, cpu: usize) {
        self.with(|state| {
            let rings = state.rings.iter_mut().filter(|ring| ring.cpu == cpu);
            rings.for_each(|ring| ring.is_excused = true);
        });
    }

    pub(super) fn come_online(&'static self, cpu: usize) {
        if self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        self.excuse_rings(cpu);
        let is_first = self.with(|state| {
            let it = &mut state.cpus[cpu];
            it.life += 1;
            (it.stops, it.parked) = (0, 0);
            it.accepted = it.served;
            (it.is_online, it.ticks) = (true, true);
            it.life == 1
        });
        let came = self.call(cpu, || self.nmi.come_online());
        self.excuse_rings(cpu);
        // An NMI may bring it online before, the first time: what that defers goes on waiting.
        if !is_first {
            let waits = self.with(|state| state.cpus[cpu].ledger.waits_since()).is_some();
            if waits || came.is_err() {
                self.machine
                    .violated(format!("CPU {cpu}: a deferred edge is in no count, {came:?}"));
            }
            self.with(|state| state.cpus[cpu].ledger.settle_all());
        }
        self.call(cpu, || self.nmi.tick_restarted());
        self.call(cpu, || self.nmi.run_work());
    }

    pub(super) fn mark(&'static self, cpu: usize, by: usize) {
        let is_meant = cpu != by && self.is_online(by) && self.is_at_rest(by);
        if !is_meant || !self.is_at_rest(cpu) {
            return;
        }
        self.with(|state| state.cpus[cpu].is_dead = true);
        self.call(by, || {
            // SAFETY: nothing is amid anything on that CPU, and it does nothing while it is dead.
            let marked = unsafe { self.nmi.mark_offline(cpu) };
            self.is_away(cpu);
            marked.unwrap();
        });
        self.with(|state| state.cpus[cpu].is_dead = false);
        self.call(by, || self.nmi.run_work());
    }

    pub(super) fn claim_outside(&'static self, source: usize, cpu: usize) {
        let is_set = self.machine.is_set(source, cpu);
        if !is_set || !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        let Some(registration) = self.registrations[source].take() else {
            return;
        };
        if self.with(|state| state.nesting) == 0 && SPECS[source].class != Class::Unknown {
            // The ring may be absorbed before the condition is claimed.
            let began = self.machine.now.get();
            self.machine.may_ring(source, cpu);
            self.call(cpu, || {
                registration.claim_outside_nmi(|| {
                    let _ = self.machine.claim(source, cpu);
                    if self.machine.now.get() - began > 100 * TICKS_PER_US {
                        self.machine.may_ring(source, cpu);
                    }
                });
            });
        }
        self.registrations[source].set(Some(registration));
    }

    pub(super) fn queue(&self, from: usize, to: usize, item: usize, urgency: Urgency) {
        if self.with(|state| state.cpus[from].is_dead) {
            return;
        }
        let item_there = &self.items[item];
        let queued = self.call(from, || self.nmi.queue_on(to, item_there, urgency));
        if queued == Ok(true) {
            self.with(|state| state.queued[item] += 1);
        }
    }
}
