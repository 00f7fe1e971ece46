// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device's events, the CPUs that raise them, and the handler that takes them.
//!
//! Each event has a status bit of its own, and no CPU raises it again before the handler has taken
//! it. So however many rings collapse into one NMI, the handler can count each event.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler, Request};

use crate::cpu::MAX_CPUS;
use crate::device::edu::Edu;
use crate::nmi::NMI;
use crate::once::Once;
use crate::scenario::{Tally, sleepers};
use crate::time;

/// How many events the device's status distinguishes.
pub(in crate::scenario) const EVENTS: usize = 32;

/// How often the fault `lost-event` strikes.
const LOST_EVENT_EVERY: u64 = 50;

/// The device. Set before the handlers are registered.
pub(super) static DEVICE: Once<Edu> = Once::new();

/// How often an event was raised and taken.
struct Account {
    /// The CPU that raises the event counts here, one at a time, before it writes to the device.
    raised: Tally,
    /// The handler counts here. A CPU that sees it reach `raised` may raise the event again.
    claimed: Tally,
    /// When it was last raised and taken. The code that counts above writes each before it counts.
    raised_at_ticks: AtomicU64,
    claimed_at_ticks: AtomicU64,
}

static ACCOUNTS: [Account; EVENTS] = [const {
    Account {
        raised: Tally::new(),
        claimed: Tally::new(),
        raised_at_ticks: AtomicU64::new(0),
        claimed_at_ticks: AtomicU64::new(0),
    }
}; EVENTS];

/// The faults `no-ack` and `lost-event`. Written before the handlers are registered.
pub(super) static NO_ACKNOWLEDGEMENT: AtomicBool = AtomicBool::new(false);
pub(in crate::scenario) static LOSE_EVENTS: AtomicBool = AtomicBool::new(false);

/// Events that each CPU raises in its next NMI by request. Writer: a thread of that CPU; the NMI
/// takes them.
static IN_NEXT_REQUEST: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// Events that each CPU raises in the next NMI that the device sends it. Written and taken as
/// above.
static IN_NEXT_EVENT: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// CPUs that send themselves another request in their next NMI by request. Written and taken as
/// above.
static ASKS_AGAIN: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Takes events. The library asks it on every NMI that neither a request nor a grant explains, and
/// in each poll that pays a debt.
pub(in crate::scenario) struct Taker;
pub(in crate::scenario) static TAKER: Taker = Taker;

// SAFETY: touches atomics in statics and the device's registers, sends wake-ups, and calls nothing
// else.
unsafe impl NmiHandler for Taker {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        let Some(device) = DEVICE.get() else {
            return Claim::None;
        };
        let status = device.status();
        if status == 0 {
            return Claim::None;
        }
        if !NO_ACKNOWLEDGEMENT.load(Ordering::Relaxed) {
            device.acknowledge(status);
        }
        for (event, account) in ACCOUNTS.iter().enumerate() {
            if status >> event & 1 != 0 && !loses_this_one() {
                account.claimed_at_ticks.store(time::now_ticks(), Ordering::Relaxed);
                account.claimed.add(1);
            }
        }
        sleepers::wake_all();
        Claim::Handled
    }
}

/// Whether the fault `lost-event` strikes now.
fn loses_this_one() -> bool {
    /// Only the handler counts, on one CPU at a time.
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    LOSE_EVENTS.load(Ordering::Relaxed)
        && TAKEN.fetch_add(1, Ordering::Relaxed) % LOST_EVENT_EVERY == LOST_EVENT_EVERY - 1
}

/// Raises events from inside an NMI, before the device's handler is asked.
pub(super) struct Raiser;
pub(super) static RAISER: Raiser = Raiser;

// SAFETY: touches atomics in statics and one of the device's registers, and sends, which is
// NMI-safe.
unsafe impl NmiHandler for Raiser {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let requested = ctx.requests().count(Request::Call) != 0;
        let orders = if requested { &IN_NEXT_REQUEST } else { &IN_NEXT_EVENT };
        if let Some(order) = orders.get(ctx.cpu()) {
            raise_each(order.swap(0, Ordering::Relaxed));
        }
        let asks_again = ASKS_AGAIN.get(ctx.cpu()).filter(|_| requested);
        if asks_again.is_some_and(|asks_again| asks_again.swap(false, Ordering::Relaxed)) {
            // The scenario counts requests, and misses one that was refused.
            let _ = NMI.send(ctx.cpu(), Request::Call);
        }
        if requested { Claim::Handled } else { Claim::None }
    }
}

/// Raises `event`, which makes the device ring once. Any context.
pub(in crate::scenario) fn raise(event: usize) {
    if let (Some(device), Some(account)) = (DEVICE.get(), ACCOUNTS.get(event)) {
        account.raised_at_ticks.store(time::now_ticks(), Ordering::Relaxed);
        account.raised.add(1);
        device.raise(1_u32.wrapping_shl(event as u32));
    }
}

/// Raises the event of each bit that is set, one after the other.
pub(in crate::scenario) fn raise_each(events: u32) {
    for event in 0..EVENTS {
        if events >> event & 1 != 0 {
            raise(event);
        }
    }
}

/// Makes this CPU raise `events` inside its next NMI by request. Threads only.
pub(super) fn raise_in_next_request(cpu: usize, events: u32) {
    IN_NEXT_REQUEST[cpu].store(events, Ordering::Relaxed);
}

/// Makes this CPU raise `event` inside its next NMI by request, and then send itself another
/// request: the device's ring and that of the request collapse into one NMI. Threads only.
pub(super) fn collapse_in_next_request(cpu: usize, event: usize) {
    ASKS_AGAIN[cpu].store(true, Ordering::Relaxed);
    raise_in_next_request(cpu, 1 << event);
}

/// Makes this CPU raise `events` inside the next NMI that the device sends it. Threads only.
pub(super) fn raise_in_next_event(cpu: usize, events: u32) {
    IN_NEXT_EVENT[cpu].store(events, Ordering::Relaxed);
}

/// Whether the handler has taken `event` as often as CPUs have raised it.
pub(in crate::scenario) fn is_taken(event: usize) -> bool {
    ACCOUNTS[event].claimed.get() >= ACCOUNTS[event].raised.get()
}

/// How long `event` waited until the handler took it.
pub(in crate::scenario) fn waited_ticks(event: usize) -> u64 {
    let Account { raised_at_ticks, claimed_at_ticks, .. } = &ACCOUNTS[event];
    let claimed_at = claimed_at_ticks.load(Ordering::Relaxed);
    claimed_at.saturating_sub(raised_at_ticks.load(Ordering::Relaxed))
}

/// Events raised so far, and of those, claims.
pub(in crate::scenario) fn totals() -> (u64, u64) {
    let sum =
        |part: fn(&Account) -> &Tally| ACCOUNTS.iter().map(|account| part(account).get()).sum();
    (sum(|account| &account.raised), sum(|account| &account.claimed))
}

/// Events that were never raised, and events that were not claimed exactly as often as raised.
pub(super) fn idle_and_miscounted() -> (usize, usize) {
    let idle = ACCOUNTS.iter().filter(|account| account.raised.get() == 0).count();
    let differs = |account: &&Account| account.raised.get() != account.claimed.get();
    (idle, ACCOUNTS.iter().filter(differs).count())
}
