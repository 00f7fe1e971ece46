// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings that never collapse: each CPU has one sender at a time, which rings again only after the
//! CPU has answered the last ring.
//!
//! An NMI whose request another NMI has already taken finds nothing and is unknown. So a scenario
//! that claims "sent equals taken, and nothing unknown" must keep two rings from being on their way
//! to one CPU. The last handler that an NMI asks counts the answer; a CPU that has seen it may ring
//! next. If the answered NMI has not left its CPU yet, the next one waits in the CPU's latch, with
//! a request of its own.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use latchwork::{Claim, NmiContext, NmiHandler, Request};

use super::Tally;
use crate::cpu::{MAX_CPUS, area};
use crate::nmi::NMI;
use crate::waiting::awaited;
use crate::{apic, patience};

/// How long to wait busily for an answer. Not long: where CPUs share few cores, a waiting CPU keeps
/// another from answering.
const SPIN_TURNS: u32 = 5;

/// Rings answered, by CPU.
static ANSWERED: [Tally; MAX_CPUS] = [const { Tally::new() }; MAX_CPUS];

/// Rings sent, by sender.
static SENT: [Tally; MAX_CPUS] = [const { Tally::new() }; MAX_CPUS];

/// The CPU that sleeps until a CPU answers, plus one; 0 if none does. Indexed by the CPU that is to
/// answer.
///
/// Writers: the waiting thread, before it looks for the answer once more, and the answering NMI,
/// after it has answered. Each has a SeqCst fence in between, so one of them sees the other's
/// store.
static SLEEPER: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// Some CPU waited for an answer that did not come, and gave up.
static STALLED: AtomicBool = AtomicBool::new(false);

/// The priority of a handler that is asked after all others.
pub(super) const LAST: u8 = 255;

/// Consumes the requests and counts the answers. Register it with priority [`LAST`].
#[derive(Debug)]
pub(super) struct Answerer;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Answerer {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let requests = ctx.requests().count(Request::Call) as u64;
        match ANSWERED.get(ctx.cpu()) {
            Some(answered) if requests != 0 => {
                answered.add(requests);
                wake_sleeper(ctx.cpu());
                Claim::Handled
            }
            _ => Claim::None,
        }
    }
}

/// Wakes the CPU that sleeps until `cpu` answers. NMI-safe.
fn wake_sleeper(cpu: usize) {
    let Some(sleeper) = SLEEPER.get(cpu) else {
        return;
    };
    fence(Ordering::SeqCst);
    if sleeper.load(Ordering::Relaxed) == 0 {
        return;
    }
    if let Some(sleeping) = sleeper.swap(0, Ordering::Relaxed).checked_sub(1) {
        apic::send_wake(sleeping);
    }
}

/// Rings answered by `cpu`.
pub(super) fn answered(cpu: usize) -> u64 {
    ANSWERED[cpu].get()
}

/// Rings sent so far, by all CPUs.
pub(super) fn sent() -> u64 {
    SENT.iter().map(Tally::get).sum()
}

/// Whether some CPU gave up waiting.
pub(super) fn stalled() -> bool {
    STALLED.load(Ordering::Relaxed)
}

/// Rings `target` from `sender`. Any context.
pub(super) fn ring(sender: usize, target: usize) {
    match NMI.send(target, Request::Call) {
        Ok(()) => SENT[sender].add(1),
        Err(error) => panic!("CPU {sender} could not ring CPU {target}: {error}"),
    }
}

/// Waits until `target` has answered `rings` rings, or some CPU has given up. Returns whether it
/// has answered. Threads only, one for each target.
pub(super) fn wait_answered(target: usize, rings: u64) -> bool {
    let over = || answered(target) >= rings || stalled();
    let asleep = area::current_cpu().map_or(0, |cpu| cpu + 1);
    let over_before_sleeping = || {
        SLEEPER[target].store(asleep, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        over()
    };
    let answer = awaited!("CPU {} to answer its rings", target);
    if !patience::spin_until(answer, over, SPIN_TURNS)
        && !patience::sleep_until(answer, over_before_sleeping)
    {
        STALLED.store(true, Ordering::Relaxed);
    }
    answered(target) >= rings
}

/// The CPU that `cpu` rings in `round`: each CPU has one sender a round, and over `cpus - 1` rounds
/// every CPU rings every other. A CPU that is alone rings itself.
pub(super) fn target_of(cpu: usize, round: u64, cpus: usize) -> usize {
    if cpus == 1 {
        return 0;
    }
    let distance = 1 + (round % (cpus as u64 - 1)) as usize;
    (cpu + distance) % cpus
}
