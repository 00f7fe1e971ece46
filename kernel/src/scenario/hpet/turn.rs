// SPDX-License-Identifier: MIT OR Apache-2.0
//! The turn of one CPU: it spins with interrupts off while the timer rings it.

use core::sync::atomic::Ordering;

use latchwork::CpuStats;
use latchwork_x86::hpet::HpetError;

use super::findings::Findings;
use super::periods::{Account, ECHO_NS, Periods};
use super::ticker::{NOTES, Ticker};
use crate::hpet::{MachineHpet, Wiring, checked};
use crate::nmi::NMI;
use crate::waiting::{Waiting, awaited};
use crate::{cpu, time};

/// How many claims of the periodic timer each CPU makes.
pub(super) const CLAIMS: u64 = 200;
const _: () = assert!(CLAIMS as usize <= NOTES);

/// How often each CPU sets the timer to fire once.
pub(super) const SHOTS: u64 = 50;

/// How often in a row the spinning CPU may see the status set: once, since the CPU finishes an
/// instruction before it takes the NMI, and once more for an emulator that takes NMIs between
/// blocks of instructions.
pub(super) const MAX_LOOKS: u64 = 2;

/// The times of a turn: short under the instruction clock, long enough for a busy host in real
/// time.
#[derive(Clone, Copy, Debug)]
struct Pace {
    period_ns: u64,
    shot_ns: u64,
    /// How long no claim may come before the timer counts as silent.
    silent_ns: u64,
}

const INSTRUCTION_PACE: Pace = Pace { period_ns: 50_000, shot_ns: 20_000, silent_ns: 1_000_000 };
const PARALLEL_PACE: Pace =
    Pace { period_ns: 1_000_000, shot_ns: 200_000, silent_ns: 4_000_000_000 };

/// The least ticks of the TSC in a period and in a shot: time to look through all notes of a run,
/// and to set the timer, also for a CPU that makes few instructions a millisecond, as on Bochs.
const LEAST_PERIOD_TICKS: u64 = 40_000;
const LEAST_SHOT_TICKS: u64 = 4_000;

impl Pace {
    /// The pace for this machine.
    fn of_machine() -> Self {
        if time::is_instruction_clock() {
            return INSTRUCTION_PACE;
        }
        let ns_of_ticks = |ticks: u64| ticks * 1_000_000 / time::ticks_per_ms();
        Self {
            period_ns: PARALLEL_PACE.period_ns.max(ns_of_ticks(LEAST_PERIOD_TICKS)),
            shot_ns: PARALLEL_PACE.shot_ns.max(ns_of_ticks(LEAST_SHOT_TICKS)),
            ..PARALLEL_PACE
        }
    }
}

/// The turn of one CPU, on that CPU.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    cpu: usize,
    hpet: MachineHpet,
    wiring: Wiring,
    ticker: &'a Ticker,
    pace: Pace,
    findings: &'a Findings,
}

impl<'a> Turn<'a> {
    /// The turn of `cpu`.
    pub(super) fn new(
        cpu: usize,
        hpet: MachineHpet,
        wiring: Wiring,
        ticker: &'a Ticker,
        findings: &'a Findings,
    ) -> Self {
        Self { cpu, hpet, wiring, ticker, pace: Pace::of_machine(), findings }
    }

    /// Spins through both phases with interrupts off. Returns whether everything came that should.
    pub(super) fn run(&self) -> bool {
        let enabled = cpu::interrupts_off();
        let claimed = self.stats().claimed;
        let complete = self.periodic() && self.shots();
        self.findings.claimed[self.cpu].add((self.stats().claimed - claimed) as u64);
        cpu::interrupts_restore(enabled);
        complete
    }

    fn ticks_of_ns(&self, time_ns: u64) -> u64 {
        self.hpet.capabilities().ticks_of_ns(time_ns).unwrap_or(u64::MAX)
    }

    fn counter_mask(&self) -> u64 {
        if self.hpet.capabilities().counter_is_64_bit() { u64::MAX } else { u64::from(u32::MAX) }
    }

    /// What the library counted on this CPU.
    fn stats(&self) -> CpuStats {
        NMI.cpu_stats(self.cpu).unwrap_or_default()
    }

    /// Spins until `done` returns something, and reads the status at every turn. Gives up if no
    /// claim comes for too long.
    fn spin_until<T>(&self, done: impl Fn() -> Option<T>) -> Option<T> {
        let silent_ticks = self.ticks_of_ns(self.pace.silent_ns);
        let mut claims = self.ticker.claims();
        let mut claimed_ticks = self.hpet.counter();
        let mut looks = 0;
        let waiting = Waiting::begin(awaited!("the HPET's next claim"));
        loop {
            if let Some(found) = done() {
                return Some(found);
            }
            let set = self.ticker.read_pending();
            if self.ticker.claims() != claims {
                claims = self.ticker.claims();
                claimed_ticks = self.hpet.counter();
                looks = 0;
            } else if set {
                looks += 1;
                self.findings.looks.fetch_max(looks, Ordering::Relaxed);
            }
            let silence_ticks = self.hpet.counter().wrapping_sub(claimed_ticks);
            if silence_ticks & self.counter_mask() > silent_ticks || claims > NOTES as u64 {
                return None;
            }
            waiting.check();
            time::delay_us(1);
        }
    }

    /// Lets the timer be periodic until there are enough claims. Returns whether they came.
    fn periodic(&self) -> bool {
        let Self { hpet, wiring, ticker, findings, .. } = self;
        let length_ticks = self.ticks_of_ns(self.pace.period_ns);
        ticker.begin();
        // The timer starts together with the counter, so the periods' origin is exact.
        hpet.halt();
        let periods = Periods {
            origin_ticks: hpet.counter(),
            length_ticks,
            echo_ticks: time::is_instruction_clock().then(|| self.ticks_of_ns(ECHO_NS)),
            counter_mask: self.counter_mask(),
        };
        checked(hpet.start_periodic(wiring.timer, length_ticks as u32));
        hpet.start();
        let settled = || {
            let reading = Reading::take(self, &periods);
            let is_whole = reading.claims == ticker.claims()
                && reading.claims >= CLAIMS
                && reading.begun == reading.account.answered;
            is_whole.then_some(reading)
        };
        let enough = || (ticker.claims() >= CLAIMS).then(settled).flatten();
        let found = self.spin_until(enough);
        let complete = found.is_some();
        let reading = found.unwrap_or_else(|| Reading::take(self, &periods));
        checked(hpet.stop(wiring.timer));
        self.let_edges_arrive();
        findings.periodic[self.cpu].add(reading.claims);
        findings.periods.add(reading.begun);
        findings.add(&reading.account);
        findings.counted[self.cpu].add(ticker.claims());
        complete
    }

    /// Sets the timer to fire once, again and again.
    fn shots(&self) -> bool {
        self.ticker.begin();
        let mut fired = 0;
        while fired < SHOTS {
            let edges = self.stats().edges;
            let Some(early) = self.shoot(fired) else {
                break;
            };
            fired += 1;
            self.let_edges_arrive();
            self.findings.shots_early.add(u64::from(early));
            self.findings.shots_exact.add(u64::from(self.stats().edges == edges + 1));
        }
        checked(self.hpet.stop(self.wiring.timer));
        self.let_edges_arrive();
        self.findings.counted[self.cpu].add(self.ticker.claims());
        fired == SHOTS
    }

    /// Sets the timer to fire once and waits for its claim, after `claims` earlier ones. Returns
    /// whether it came too early, or `None` if it did not come.
    fn shoot(&self, claims: u64) -> Option<bool> {
        let Self { hpet, wiring, ticker, .. } = self;
        let ticks = self.ticks_of_ns(self.pace.shot_ns);
        let is_claimed = || (ticker.claims() > claims).then_some(());
        loop {
            let set_ticks = hpet.counter();
            match hpet.start_one_shot(wiring.timer, ticks as u32) {
                // The driver set it too late: it fired meanwhile, and the handler has claimed that,
                // or it did not fire at all.
                Err(HpetError::TooLate { .. }) if is_claimed().is_none() => {
                    self.findings.shots_set_again.add(1);
                    continue;
                }
                Ok(()) | Err(HpetError::TooLate { .. }) => {}
                Err(error) => checked(Err(error)),
            }
            self.spin_until(is_claimed)?;
            let claimed_ticks = ticker.notes().last().map_or(0, |note| note.after_ticks);
            let after_ticks = claimed_ticks.wrapping_sub(set_ticks) & self.counter_mask();
            return Some(after_ticks < ticks);
        }
    }

    /// Gives what the stopped timer has raised the time to arrive.
    fn let_edges_arrive(&self) {
        time::delay_us(10);
    }
}

/// How a run of the periodic timer stands at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    claims: u64,
    account: Account,
    /// Periods that have begun.
    begun: u64,
}

impl Reading {
    fn take(turn: &Turn<'_>, periods: &Periods) -> Self {
        let claims = turn.ticker.claims();
        let account = periods.account(turn.ticker.notes().take(claims as usize));
        Self { claims, account, begun: periods.begun_at(turn.hpet.counter()) }
    }
}
