// SPDX-License-Identifier: MIT OR Apache-2.0
//! The beginning of a sequence, and its end: everything comes to rest, and what is left is judged.

use std::{format, string::ToString};

use super::{
    machine::TICKS_PER_US,
    play::Play,
    step::{CPUS, ITEMS, SOURCES},
};
use crate::Request;

impl Play {
    pub(super) fn begin(&'static self) {
        self.machine.nmi.set(Some(self.nmi));
        self.nmi.init(self.cpus).unwrap();
        for cpu in 0..if self.scope.starts { 1 } else { CPUS } {
            self.come_online(cpu);
        }
        for source in 0..SOURCES {
            self.register(source);
        }
        self.wait(2_000);
        self.tick(0);
    }

    pub(super) fn deliver_all(&'static self) {
        loop {
            let ring = self.with(|state| state.rings.pop());
            let Some(ring) = ring else {
                return;
            };
            self.deliver(ring, false);
        }
    }

    pub(super) fn run_ms(&'static self, ms: usize) {
        for _ in 0..ms {
            self.runs.set(0);
            self.wait(1_000);
            for cpu in 0..CPUS {
                self.deliver_all();
                self.interrupt(cpu);
                if self.with(|state| state.cpus[cpu].ticks) {
                    self.tick(cpu);
                }
                self.deliver_all();
                self.interrupt(cpu);
            }
        }
        self.end_removals();
    }

    /// Lets everything come to rest, and judges what is left.
    pub(super) fn end(&'static self) {
        self.with(|state| {
            state.requeues = [false; ITEMS];
            state.wants_more = [false; SOURCES];
            state.fails_ring = false;
        });
        self.machine.set_at("at the end".to_string());
        self.deliver_all();
        self.run_ms(30);
        for (source, cpu) in (0..SOURCES).flat_map(|source| (0..CPUS).map(move |cpu| (source, cpu)))
        {
            let is_asked = self.with(|state| state.is_registered[source]) && self.is_online(cpu);
            if is_asked && self.machine.is_set(source, cpu) {
                self.machine.violated(format!("source {source} on CPU {cpu} is not claimed"));
            }
        }
        if self.with(|state| state.is_alive != state.is_registered) {
            self.machine.violated("a removal is not over".to_string());
        }
        for cpu in 0..CPUS {
            self.come_online(cpu);
            self.with(|state| state.cpus[cpu].ticks = true);
            self.call(cpu, || self.nmi.tick_restarted());
        }
        self.run_ms(5);
        self.wait(self.with(|state| state.lasts) / TICKS_PER_US);
        self.run_ms(5);
        self.machine.set_at("after the end".to_string());
        self.expect_repeated_unknowns();
        self.wait(400_000);
        self.run_ms(3);
        self.expect_served();
        self.machine.check_storms();
        if self.with(|state| state.violated.is_none()) {
            for registration in &self.registrations {
                if let Some(it) = registration.take() {
                    it.remove().unwrap();
                }
            }
        }
    }

    /// Nothing is under way: an unknown that comes three times is said three times, and is not
    /// taken for a late send.
    pub(super) fn expect_repeated_unknowns(&'static self) {
        const TIMES: usize = 3;
        for cpu in 0..CPUS {
            let said = |cpu| self.nmi.cpu_stats(cpu).map_or(0, |stats| stats.unknown);
            // It may take a request whose ring failed.
            self.with(|state| state.cpus[cpu].ledger.true_unknowns += 1);
            self.take_nmi(cpu);
            self.run_ms(30);
            self.wait(self.with(|state| state.lasts) / TICKS_PER_US);
            self.run_ms(2);
            let before = said(cpu);
            self.with(|state| state.late_sends = 0);
            for _ in 0..TIMES {
                self.with(|state| state.cpus[cpu].ledger.true_unknowns += 1);
                self.take_nmi(cpu);
                self.wait(120_000);
                self.run_ms(2);
            }
            let (late_sends, said) = (self.with(|state| state.late_sends), said(cpu) - before);
            if said != TIMES || late_sends > 1 {
                let what = format!("CPU {cpu}: {said} of {TIMES} said, {late_sends} as late sends");
                self.machine.violated(what);
            }
        }
    }

    pub(super) fn expect_served(&self) {
        for cpu in 0..CPUS {
            let unserved = self.with(|state| {
                let it = &state.cpus[cpu];
                // The library sends probes as well.
                let probes = Request::Probe as usize;
                let others = it.accepted.iter().zip(&it.served).enumerate();
                let served = others.take(5).all(|(kind, (to, by))| kind == probes || to == by);
                let parked = it.stops == 0 || it.parked != 0;
                (!(it.is_unsure || served && parked))
                    .then(|| format!("{:?} accepted, {:?} served", it.accepted, it.served))
            });
            if let Some(what) = unserved {
                self.machine.violated(format!("CPU {cpu}: {what}"));
            }
        }
        let (queued, ran) = self.with(|state| (state.queued, state.ran));
        if queued != ran {
            self.machine.violated(format!("items were queued {queued:?} times, and ran {ran:?}"));
        }
    }
}
