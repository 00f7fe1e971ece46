// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HPET timer rings one CPU after the other, through an I/O APIC entry in NMI mode, while that CPU spins with interrupts off.
//!
//! The timer's output is a level, so its status bit is a condition that stays until the handler clears it; the entry is
//! edge-triggered, so each condition rings once. First the timer is periodic, and claims are counted against the periods of the
//! main counter. Then it is set to fire once, again and again, and each time rings once.
//!
//! Where time is counted in instructions, every period has its claim. Where CPUs share a busy host, the emulator's timer or its
//! CPU may be late by more than a period, and two periods have one claim. Such a period is not lost: the spinning CPU looks at
//! the status at every turn and never sees it stay set ([`MAX_LOOKS`]), so no NMI was missing. Which of the two it was, and how
//! late, is reported.

mod periods;
mod ticker;

use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{
    Class, Doorbell, EdgeModel, HandlerId, HandlerSpec, PinnedHandler, PinnedRegistration,
};
use latchwork_x86::hpet::{HpetError, Trigger};
use latchwork_x86::ioapic::Mask;

use super::{Progress, Run, Tally, check};
use crate::console::println;
use crate::cpu::{self, MAX_CPUS};
use crate::hpet::{self, MachineHpet, Wiring, checked};
use crate::ioapic::NmiLine;
use crate::nmi::NMI;
use crate::{smp, time};
use periods::{Account, ECHO_NS, Periods};
use ticker::{Mistakes, NOTES, Ticker};

/// Claims that each CPU is to make of the periodic timer.
const CLAIMS: u64 = 200;
const _: () = assert!(CLAIMS as usize <= NOTES);

/// How often each CPU sets the timer to fire once.
const SHOTS: u64 = 50;

/// How often in a row the spinning CPU may see the status set: once, since an instruction that has begun is finished before the
/// NMI is taken, and once more for an emulator that takes NMIs between blocks of instructions.
const MAX_LOOKS: u64 = 2;

/// The times of a run: short where they are counted in instructions, long enough for a busy host where they pass by themselves.
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

/// What the turns of all CPUs showed.
#[derive(Debug)]
struct Findings {
    /// Claims counted in the turn of each CPU, and those of the periodic timer alone.
    counted: [Tally; MAX_CPUS],
    periodic: [Tally; MAX_CPUS],
    /// Periods that passed on the main counter meanwhile.
    periods: Tally,
    first: Tally,
    echoes: Tally,
    repeated: Tally,
    merged_by_timer: Tally,
    merged_by_cpu: Tally,
    may_ring_again: Tally,
    /// Maxima. Written by the CPU whose turn it is.
    latest_ticks: AtomicU64,
    looks: AtomicU64,
    shots_exact: Tally,
    shots_early: Tally,
    shots_set_again: Tally,
}

impl Findings {
    const fn new() -> Self {
        Self {
            counted: [const { Tally::new() }; MAX_CPUS],
            periodic: [const { Tally::new() }; MAX_CPUS],
            periods: Tally::new(),
            first: Tally::new(),
            echoes: Tally::new(),
            repeated: Tally::new(),
            merged_by_timer: Tally::new(),
            merged_by_cpu: Tally::new(),
            may_ring_again: Tally::new(),
            latest_ticks: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            shots_exact: Tally::new(),
            shots_early: Tally::new(),
            shots_set_again: Tally::new(),
        }
    }
}

/// The turn of one CPU, on that CPU.
#[derive(Debug)]
struct Turn<'a> {
    cpu: usize,
    hpet: MachineHpet,
    wiring: Wiring,
    ticker: &'a Ticker,
    pace: Pace,
    findings: &'a Findings,
}

impl Turn<'_> {
    /// Spins through both phases with interrupts off; says whether all came that should.
    fn run(&self) -> bool {
        let enabled = cpu::interrupts_off();
        let complete = self.periodic() && self.shots();
        cpu::interrupts_restore(enabled);
        complete
    }

    fn ticks_of_ns(&self, time_ns: u64) -> u64 {
        self.hpet.capabilities().ticks_of_ns(time_ns).unwrap_or(u64::MAX)
    }

    fn counter_mask(&self) -> u64 {
        if self.hpet.capabilities().counter_is_64_bit() { u64::MAX } else { u64::from(u32::MAX) }
    }

    fn edges(&self) -> u64 {
        NMI.cpu_stats(self.cpu).map_or(0, |stats| stats.edges as u64)
    }

    /// Spins until `done` gives something, looking at the status at every turn; gives up if no claim comes for too long.
    fn spin_until<T>(&self, done: impl Fn() -> Option<T>) -> Option<T> {
        let silent_ticks = self.ticks_of_ns(self.pace.silent_ns);
        let mut claims = self.ticker.claims();
        let mut claimed_ticks = self.hpet.counter();
        let mut looks = 0;
        loop {
            if let Some(found) = done() {
                return Some(found);
            }
            let set = self.ticker.look();
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
            time::delay_us(1);
        }
    }

    /// Lets the timer be periodic until there are enough claims; says whether they came.
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
            let edges = self.edges();
            let Some(early) = self.shoot(fired) else {
                break;
            };
            fired += 1;
            self.let_edges_arrive();
            self.findings.shots_early.add(u64::from(early));
            self.findings.shots_exact.add(u64::from(self.edges() == edges + 1));
        }
        checked(self.hpet.stop(self.wiring.timer));
        self.findings.counted[self.cpu].add(self.ticker.claims());
        fired == SHOTS
    }

    /// Sets the timer to fire once and waits for its claim, of which there have been `claims`; says whether it came too early, if it
    /// came.
    fn shoot(&self, claims: u64) -> Option<bool> {
        let Self { hpet, wiring, ticker, .. } = self;
        let ticks = self.ticks_of_ns(self.pace.shot_ns);
        let is_claimed = || (ticker.claims() > claims).then_some(());
        loop {
            let set_ticks = hpet.counter();
            match hpet.start_one_shot(wiring.timer, ticks as u32) {
                // Set too late: it fired while it was being set, and its claim has been made, or not at all.
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

impl Findings {
    fn add(&self, account: &Account) {
        self.first.add(account.first);
        self.echoes.add(account.echoes);
        self.may_ring_again.add(account.may_ring_again);
        self.merged_by_timer.add(account.merged_by_timer);
        self.merged_by_cpu.add(account.merged_by_cpu);
        self.repeated.add(account.repeated);
        self.latest_ticks.fetch_max(account.latest_ticks, Ordering::Relaxed);
    }
}

pub(super) fn run(run: &Run) {
    let hpet = hpet::find();
    let was_running = hpet.is_running();
    let trigger = if run.has_fault("edge-output") { Trigger::Edge } else { Trigger::Level };
    let wiring = Wiring::choose(&hpet, trigger);
    let mut line = NmiLine::of_interrupt(wiring.interrupt, wiring.polarity);
    let pace = if time::is_instruction_clock() { INSTRUCTION_PACE } else { PARALLEL_PACE };
    println!(
        "HPET timer {} at interrupt {}, {} fs a tick",
        wiring.timer,
        wiring.interrupt,
        hpet.capabilities().period_fs()
    );

    let mistakes =
        Mistakes { no_ack: run.has_fault("no-ack"), uncounted: run.has_fault("uncounted-claim") };
    let ticker = pin!(PinnedHandler::new(Ticker::new(hpet, wiring.timer, mistakes)));
    let ticker = ticker.into_ref();
    let registration = register(ticker, &wiring);

    wiring.connect(&hpet);
    hpet.start();
    let findings = Findings::new();
    let progress = Progress::new(run.cpus as u64);
    for target in 0..run.cpus {
        let rung = if run.has_fault("wrong-cpu") { (target + 1) % run.cpus } else { target };
        line.route_to(rung, if run.has_fault("masked") { Mask::Masked } else { Mask::Unmasked });
        let complete = AtomicBool::new(false);
        smp::on_all_cpus(&|cpu| {
            if cpu == target {
                let ticker = ticker.get_ref().get();
                let turn = Turn { cpu, hpet, wiring, ticker, pace, findings: &findings };
                complete.store(turn.run(), Ordering::Relaxed);
            }
        });
        // One turn in which something did not come is enough: the others would wait in vain.
        if !complete.load(Ordering::Relaxed) {
            break;
        }
        progress.at(target as u64 + 1);
    }
    line.mask();
    wiring.disconnect(&hpet);
    if !was_running {
        hpet.halt();
    }
    run.settle();
    report(run, &findings, &hpet, registration.id());
}

fn register<'a>(ticker: Pin<&'a PinnedHandler<Ticker>>, wiring: &Wiring) -> PinnedRegistration<'a> {
    let doorbell = Doorbell::Platform(wiring.interrupt as u16);
    let spec = HandlerSpec::new("hpet", Class::Platform, doorbell, EdgeModel::PerCondition);
    match ticker.register(&NMI, &spec) {
        Ok(registration) => registration,
        Err(error) => panic!("the HPET's handler was refused: {error}"),
    }
}

fn report(run: &Run, findings: &Findings, hpet: &MachineHpet, handler: HandlerId) {
    let fewest = findings.periodic.iter().take(run.cpus).map(Tally::get).min().unwrap_or(0);
    check(
        "claims-on-each-cpu",
        fewest >= CLAIMS,
        format_args!("{CLAIMS} claims of the periodic timer or more on each of {} CPUs", run.cpus),
        format_args!("{fewest} on the CPU with the fewest"),
    );

    let claims_of = |cpu| NMI.handler_stats(handler, cpu).map_or(0, |stats| stats.claims as u64);
    let agree = (0..run.cpus).filter(|cpu| {
        let counted = findings.counted[*cpu].get();
        counted != 0 && counted == claims_of(*cpu)
    });
    let agree = agree.count();
    let counted: u64 = findings.counted.iter().map(Tally::get).sum();
    let claimed: u64 = (0..run.cpus).map(claims_of).sum();
    check(
        "claims-are-where-the-line-goes",
        agree == run.cpus && counted == claimed,
        format_args!("on each of {} CPUs as many claims as were counted in its turn", run.cpus),
        format_args!("so on {agree}; {claimed} claims, {counted} counted in all"),
    );
    check_periods(findings, hpet);
    let looks = findings.looks.load(Ordering::Relaxed);
    check(
        "a-status-rings-at-once",
        looks <= MAX_LOOKS,
        format_args!("the status seen set {MAX_LOOKS} times in a row at most, before its NMI"),
        format_args!("{looks}"),
    );
    let shots = SHOTS * run.cpus as u64;
    let (exact, early) = (findings.shots_exact.get(), findings.shots_early.get());
    check(
        "one-shots-ring-once",
        exact == shots && early == 0,
        format_args!("exactly one NMI for each of {shots} one-shots, none before its time"),
        format_args!(
            "so for {exact}, {early} early, {} set again as they were set too late",
            findings.shots_set_again.get()
        ),
    );
    let stats = run.stats();
    let may_ring_again = findings.may_ring_again.get();
    check(
        "nothing-unknown",
        stats.unknown as u64 <= may_ring_again && stats.deferred == 0 && stats.edges != 0,
        format_args!(
            "0 deferred, 0 unknown but where the timer had fired again before it was acknowledged: {may_ring_again}"
        ),
        format_args!(
            "{} deferred, {} unknown of {} edges",
            stats.deferred, stats.unknown, stats.edges
        ),
    );
    run.totals(claimed.saturating_sub(counted));
}

fn check_periods(findings: &Findings, hpet: &MachineHpet) {
    let by_instructions = time::is_instruction_clock();
    let [first, echoes, repeated, by_timer, by_cpu, periods] = [
        &findings.first,
        &findings.echoes,
        &findings.repeated,
        &findings.merged_by_timer,
        &findings.merged_by_cpu,
        &findings.periods,
    ]
    .map(Tally::get);
    let merged = by_timer + by_cpu;
    let latest_ticks = findings.latest_ticks.load(Ordering::Relaxed);
    let latest_ns = latest_ticks * u64::from(hpet.capabilities().period_fs()) / 1_000_000;
    let as_clocked = if by_instructions { merged == 0 } else { echoes == 0 };
    check(
        "claims-match-periods",
        as_clocked && repeated == 0 && first + merged == periods && first != 0,
        format_args!(
            "one claim a period of the main counter{}",
            if by_instructions {
                ", but for second firings"
            } else {
                ", or one for several where timer or CPU was late"
            }
        ),
        format_args!(
            "{first} claims in {periods} periods, {echoes} more of second firings, {repeated} repeated; merged since the timer \
             was late {by_timer}, since the CPU was {by_cpu}; {latest_ns} ns late at most"
        ),
    );
}
