// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI button, which the host presses when it is asked to.
//!
//! The button pulls a line that the MADT says is wired to LINT1 of all CPUs, or of some. It has no
//! condition: a press leaves nothing behind but its NMI. So no software can count presses that come
//! faster than a CPU takes them, or find one that was lost. A handler of the last resort, which the
//! library asks about edges that nothing explains, stands for a debugger behind the button.
//!
//! First each press waits until all CPUs have seen the one before it, so every CPU sees every
//! press. Then many come at once, and the scenario reports how many were not seen.
//!
//! One press rings all CPUs at once, and there is no handler of class Platform that only one of
//! them could ask: each CPU shows each of its NMIs to the debugger.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler};

use super::{Progress, Run, Tally, check, check_nothing_unknown};
use crate::console::{self, println};
use crate::cpu::MAX_CPUS;
use crate::nmi::{self, NMI};
use crate::waiting::awaited;
use crate::{nmi_lines, patience, record, smp};

/// How many presses wait for the one before.
const SINGLE: u64 = 50;

/// How many presses come one right after the other.
const BURST: u64 = 200;

/// The doorbell's number: the LVT entry of LINT1.
const LINT1: u8 = 1;

/// Presses that the debugger saw, by CPU. The handler on that CPU counts.
static SEEN: [Tally; MAX_CPUS] = [const { Tally::new() }; MAX_CPUS];

/// Do not claim: the fault `swallow`. Written before the handler is registered.
static SWALLOW: AtomicBool = AtomicBool::new(false);

struct Debugger;
static DEBUGGER: Debugger = Debugger;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Debugger {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if let Some(seen) = SEEN.get(ctx.cpu()) {
            seen.add(1);
        }
        if SWALLOW.load(Ordering::Relaxed) { Claim::None } else { Claim::Handled }
    }
}

/// Which CPUs the button reaches.
#[derive(Clone, Copy, Debug)]
struct Open {
    cpus: usize,
    of: usize,
}

impl Open {
    fn from_command_line(run: &Run) -> Self {
        let cpus = match run.option("lint1") {
            Some("all") => run.cpus,
            Some("boot") => 1,
            other => panic!("lint1= must be all or boot, not {other:?}"),
        };
        Self { cpus, of: run.cpus }
    }

    /// The fewest and the most presses that an open CPU has seen, and the sum over closed CPUs.
    fn seen(&self) -> Seen {
        let of_open = || (0..self.cpus).map(edges_on);
        Seen {
            fewest: of_open().min().unwrap_or(0),
            most: of_open().max().unwrap_or(0),
            on_closed: (self.cpus..self.of).map(edges_on).sum(),
        }
    }
}

/// What CPUs have seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    fewest: u64,
    most: u64,
    on_closed: u64,
}

fn edges_on(cpu: usize) -> u64 {
    NMI.cpu_stats(cpu).map_or(0, |stats| stats.edges as u64)
}

/// Asks the host to press the button `presses` times, and returns when it has done so.
fn press(presses: u64) {
    record::ask(presses);
    console::wait_answer();
}

/// Opens the NMI lines of the executing CPU, which is `cpu`, or closes them.
fn set_lines(cpu: usize, open: bool) {
    let programmed = if open { nmi_lines::open_here() } else { nmi_lines::close_here() };
    match programmed {
        Ok(lines) if open => println!("CPU {cpu} is {lines}"),
        Ok(_) => {}
        Err(error) => panic!("CPU {cpu}: {error}"),
    }
}

pub(super) fn run(run: &Run) {
    SWALLOW.store(run.has_fault("swallow"), Ordering::Relaxed);
    let open = Open::from_command_line(run);
    let spec = HandlerSpec::new(
        "debugger",
        Class::Unknown,
        Doorbell::Local(LINT1),
        EdgeModel::PerCondition,
    );
    let debugger = match NMI.register(&spec, &DEBUGGER) {
        Ok(registration) => registration,
        Err(error) => panic!("the debugger was refused: {error}"),
    };
    smp::on_all_cpus(&|cpu| {
        let is_open = cpu < open.cpus || run.has_fault("open-everywhere");
        set_lines(cpu, is_open && !run.has_fault("closed"));
    });

    let singles = press_singly(&open);
    run.settle();
    let after_singles = open.seen();
    if singles == SINGLE {
        press(BURST);
    }
    run.settle();
    smp::on_all_cpus(&|cpu| set_lines(cpu, false));
    report(run, &open, singles, after_singles);
    nmi::remove(debugger);
}

/// Asks the host for one press after the other, and waits after each until all open CPUs have seen
/// it. Gives up on the first that is not seen. Returns how many were.
fn press_singly(open: &Open) -> u64 {
    let progress = Progress::new(SINGLE);
    for number in 1..=SINGLE {
        press(1);
        let is_seen = || open.seen().fewest >= number;
        let seen = awaited!("all open CPUs to see press {}", number);
        if !patience::spin_until(seen, is_seen, 200) && !patience::sleep_until(seen, is_seen) {
            return number - 1;
        }
        progress.at(number);
    }
    SINGLE
}

fn report(run: &Run, open: &Open, singles: u64, after_singles: Seen) {
    let Seen { fewest, most, on_closed } = after_singles;
    check(
        "single-presses-are-seen-once",
        singles == SINGLE && fewest == SINGLE && most == SINGLE && on_closed == 0,
        format_args!(
            "{SINGLE} presses on each of {} open CPUs, 0 on {} closed ones",
            open.cpus,
            open.of - open.cpus
        ),
        format_args!("{fewest} to {most} on open CPUs, {on_closed} on closed ones"),
    );
    let all = open.seen();
    let (fewest, most) = (all.fewest - fewest, all.most - most);
    check(
        "a-burst-is-seen",
        fewest >= 1 && most <= BURST && all.on_closed == 0,
        format_args!("1 to {BURST} of {BURST} presses on each open CPU, 0 on closed ones"),
        format_args!(
            "{fewest} to {most}, {} on closed ones; at worst {} presses were not seen",
            all.on_closed,
            BURST.saturating_sub(fewest)
        ),
    );
    let stats = run.stats();
    let counted: u64 = SEEN.iter().map(Tally::get).sum();
    check(
        "each-is-shown-to-the-debugger",
        counted == stats.edges as u64 && counted == stats.claimed as u64 && counted != 0,
        format_args!("as many calls and claims of the debugger as NMIs"),
        format_args!("{counted} calls, {} claims, {} NMIs", stats.claimed, stats.edges),
    );
    check_nothing_unknown(&stats);
    run.totals(0);
}
