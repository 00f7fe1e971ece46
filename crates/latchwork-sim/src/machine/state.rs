// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything on the machine that changes, and what one part does to another: doorbells ring, edges
//! land, time passes.

use super::{
    Bell, Condition, Cpu, Doing, External, Fact, Hardware, PmuKind, Port61, Route, Wire,
    fact::CpuSet, wire::Flight,
};
use crate::event_log::{self, Logged};

/// When each world begins, in microseconds: not at 0, so that clocks can read a time before the
/// beginning.
pub const BEGINNING_US: u64 = 1_000_000;

/// The machine's state. All of it is part of a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The world's clock, in microseconds.
    pub now_us: u64,
    /// The CPUs.
    pub cpus: Vec<Cpu>,
    /// Edges under way.
    pub wire: Wire,
    /// The external devices.
    pub externals: Vec<External>,
    /// The port.
    pub port61: Port61,
    /// How often each of the scenario's happenings may still come.
    pub left: Vec<u8>,
    /// When the source without status rings again by itself, in microseconds.
    pub next_press_us: Option<u64>,
    /// Sends that are under way, oldest first.
    pub sends: Vec<SendUnderWay>,
    /// For how long CPUs have executed instructions without a pause, in microseconds.
    pub hurried_us: u64,
}

/// A send that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SendUnderWay {
    /// The sender.
    pub from: usize,
    /// The target.
    pub to: usize,
    /// When it began, in microseconds.
    pub began_us: u64,
}

impl State {
    /// The machine when time begins. The CPUs' ticks are spread over the period.
    pub fn new(hardware: &Hardware, left: Vec<u8>) -> Self {
        let period_us = hardware.tick_period_us;
        let cpus = (0..hardware.cpus).map(|cpu| {
            let share_us = period_us * (cpu as u64 + 1) / (hardware.cpus as u64 + 1);
            let skew_us = hardware.skew_us.get(cpu).copied().unwrap_or(0);
            let ahead_us = hardware.clock_ahead_us.wrapping_add(skew_us);
            match hardware.absent.contains(&cpu) {
                true => Cpu::absent(ahead_us),
                false => Cpu::new(BEGINNING_US + share_us, ahead_us),
            }
        });
        Self {
            now_us: BEGINNING_US,
            cpus: cpus.collect(),
            wire: Wire::default(),
            externals: vec![External::default(); hardware.externals.len()],
            port61: Port61::default(),
            left,
            next_press_us: None,
            sends: Vec::new(),
            hurried_us: 0,
        }
    }

    /// An edge comes to a CPU: the latch keeps it, or it collapses into one that the latch holds.
    pub fn land(&mut self, cpu: usize, bell: Bell) {
        let number = cpu;
        let cpu = &mut self.cpus[number];
        if cpu.doing != Doing::Dead {
            let (latched, is_blocked) = (cpu.latch, cpu.nmis_blocked);
            cpu.latch = latched.with(bell);
            event_log::append_at(self.now_us, || Logged::Landed {
                cpu: number,
                bell,
                latched,
                is_blocked,
            });
        }
    }

    /// A doorbell rings one CPU; its edge is under way for `late_us` at most.
    pub fn ring(&mut self, cpu: usize, bell: Bell, late_us: u64) {
        self.wire.send(Flight { cpu, bell, due_us: self.now_us + late_us });
    }

    fn ring_all(&mut self, route: Route, bell: Bell, late_us: u64) {
        for cpu in route.cpus(self.cpus.len()) {
            self.ring(cpu, bell, late_us);
        }
    }

    /// Whether `bell` may ring once more, if its status merges at most `max_late_edges` rings
    /// besides its own: no CPU has more than these under way, in its latch, or in an NMI that has
    /// not read the status yet.
    pub fn may_ring(&self, bell: Bell, max_late_edges: u8) -> bool {
        self.cpus.iter().enumerate().all(|(number, cpu)| {
            let remembered = usize::from(cpu.latch.has(bell)) + usize::from(cpu.nmi_depth != 0);
            self.wire.count(number, bell) + remembered <= usize::from(max_late_edges)
        })
    }

    /// A counter overflows. A PMI that masks its entry is synchronous; others may be under way.
    pub fn overflow(&mut self, hardware: &Hardware, cpu: usize, bit: u8) -> Option<Fact> {
        let pmu = &mut self.cpus[cpu].pmu;
        let rises = pmu.status() & bit == 0;
        if pmu.overflow(bit, hardware.pmu) {
            match hardware.pmu {
                PmuKind::Free { late_us, .. } => self.ring(cpu, Bell::Lvt, late_us),
                PmuKind::Absent | PmuKind::Masking => self.land(cpu, Bell::Lvt),
            }
        }
        rises.then_some(Fact::Set(Condition::Counter { cpu, bit }))
    }

    /// An external device has an event.
    pub fn assert(&mut self, hardware: &Hardware, index: u8) -> Option<Fact> {
        let kind = &hardware.externals[usize::from(index)];
        let external = &mut self.externals[usize::from(index)];
        let (asserted, route) = (external.assert(kind), external.route(kind));
        if asserted.rings {
            self.ring_all(route, Bell::External(index), kind.late_us);
        }
        asserted.rises.then_some(Fact::Set(Condition::External(index)))
    }

    /// A bus asserts a status bit of port 0x61.
    pub fn assert_port61(&mut self, hardware: &Hardware, bit: u8) -> Option<Fact> {
        let (bit_rises, line_rises) = self.port61.assert(bit);
        if line_rises {
            self.ring_port61(hardware);
        }
        bit_rises.then_some(Fact::Set(Condition::Port61(bit)))
    }

    /// The line of port 0x61 rises.
    pub fn ring_port61(&mut self, hardware: &Hardware) {
        if let Some(route) = hardware.port61 {
            self.ring_all(route, Bell::Port61, hardware.delivery_us);
        }
    }

    /// A source without status rings.
    pub fn press(&mut self, hardware: &Hardware) -> Fact {
        self.ring_all(hardware.button, Bell::Button, hardware.delivery_us);
        Fact::Pressed
    }

    /// The next moment at which something happens by itself, `last_us` at the latest.
    pub fn next_due_us(&self, last_us: u64) -> Option<u64> {
        let cpus = self.cpus.iter().filter_map(Cpu::next_due_us);
        let rest = [self.wire.next_due_us(), self.next_press_us].into_iter().flatten();
        cpus.chain(rest).min().filter(|due_us| *due_us <= last_us)
    }

    /// Lets time pass. Edges that are due land.
    pub fn pass(&mut self, to_us: u64, tick_period_us: u64, last_tick_us: u64) -> Fact {
        let mut deaf = CpuSet::default();
        let mut attentive = CpuSet::default();
        let mut ticking = CpuSet::default();
        for (number, cpu) in self.cpus.iter().enumerate() {
            if !cpu.is_open() {
                deaf.add(number);
            } else if cpu.interrupts_on && cpu.nmi_depth == 0 && !cpu.offline {
                attentive.add(number);
                if !cpu.tick_stopped {
                    ticking.add(number);
                }
            }
        }
        let by_us = to_us - self.now_us;
        let busy = self.somebody_runs();
        let in_nmi = self.cpus.iter().any(Cpu::is_kept_in_nmi);
        self.hurried_us = if busy || in_nmi { self.hurried_us + by_us } else { 0 };
        self.now_us = to_us;
        while let Some(flight) = self.wire.overdue(to_us) {
            self.wire.land(flight.cpu, flight.bell);
            self.land(flight.cpu, flight.bell);
        }
        for cpu in &mut self.cpus {
            cpu.pass(to_us, tick_period_us, last_tick_us);
        }
        Fact::Passed { by_us, deaf, attentive, ticking, busy }
    }

    /// Whether some CPU executes instructions.
    pub fn somebody_runs(&self) -> bool {
        self.cpus.iter().any(Cpu::can_run)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, ExternalKind, pmu};
    use super::*;

    const HARDWARE: Hardware = Hardware {
        pmu: PmuKind::Masking,
        externals: &[ExternalKind::level_held(Route::All)],
        ..Hardware::BARE
    };

    #[test]
    fn an_external_edge_collapses_into_a_pmi() {
        let mut state = State::new(&HARDWARE, Vec::new());
        assert!(state.overflow(&HARDWARE, 0, pmu::bit::COUNTER_0).is_some());
        assert_eq!(state.assert(&HARDWARE, 0), Some(Fact::Set(Condition::External(0))));
        assert_eq!(state.cpus[0].latch, Edge::of(&[Bell::Lvt]));
        state.wire.land(0, Bell::External(0));
        state.land(0, Bell::External(0));
        assert_eq!(state.cpus[0].latch, Edge::of(&[Bell::Lvt, Bell::External(0)]));
        assert!(state.wire.has(Bell::External(0)), "the other CPU's is under way");
    }

    #[test]
    fn an_edge_lands_by_its_deadline_and_ticks_come_in_turn() {
        let mut state = State::new(&HARDWARE, Vec::new());
        state.assert(&HARDWARE, 0);
        assert_eq!(state.next_due_us(u64::MAX), Some(BEGINNING_US + 100));
        state.pass(BEGINNING_US + 100, 1_000, u64::MAX);
        assert!(state.cpus.iter().all(|cpu| cpu.latch.has(Bell::External(0))));
        assert_eq!(state.next_due_us(u64::MAX), Some(BEGINNING_US + 333));
        state.pass(BEGINNING_US + 333, 1_000, u64::MAX);
        assert_eq!((state.cpus[0].tick_pending, state.cpus[1].tick_pending), (true, false));
    }

    #[test]
    fn a_cpu_that_runs_is_deaf_while_time_passes_and_a_halted_one_is_attentive() {
        let mut state = State::new(&HARDWARE, Vec::new());
        state.cpus[1].doing = Doing::Halted;
        let passed = state.pass(BEGINNING_US + 7, 1_000, u64::MAX);
        let (deaf, attentive) = (CpuSet(0b01), CpuSet(0b10));
        let expected = Fact::Passed { by_us: 7, deaf, attentive, ticking: attentive, busy: true };
        assert_eq!(passed, expected);
    }
}
