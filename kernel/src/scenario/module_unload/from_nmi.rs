// SPDX-License-Identifier: MIT OR Apache-2.0
//! `try_remove` from inside NMIs, under the storm: by the handler for itself, by another handler
//! for it, and by another handler in an NMI that interrupted a registration or a removal. The
//! ticket says when CPU 0 may unload the module.

use latchwork::{Claim, Class, NmiContext, NmiHandler, Ticket};

use super::hand_over::{self, By, Order, Outcome, What};
use super::{loader, rounds};
use crate::scenario::storm::Storm;
use crate::scenario::{Run, Tally, rings};
use crate::waiting::awaited;
use crate::{idle, nmi, patience};

/// Removals of each kind; more than CPUs, so that each CPU has its turn.
const REMOVALS_A_KIND: u64 = 80;

/// How often the scenario lets NMIs come for one removal before it gives up. The first tries follow
/// each other at once, the others after a pause.
const TRIES: u32 = 1_000;
const TRIES_AT_ONCE: u32 = 100;
const PAUSE_MS: u64 = 10;

/// How often CPU 0 registers and removes while it waits for an NMI.
const MOST_WRITES: u32 = 200;

/// How long CPU 0 spins for a ticket before it sleeps.
const TICKET_TURNS: u32 = 2_000;

/// A kind of removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Itself,
    Another,
    OnTopOfWriter,
}

const KINDS: [Kind; 3] = [Kind::Itself, Kind::Another, Kind::OnTopOfWriter];

/// The results of the removals.
#[derive(Debug)]
pub(super) struct GivenUp {
    /// Removals that an NMI made, by kind: by itself, by another, on top of a writer.
    pub(super) removed: [Tally; KINDS.len()],
    /// Tickets that said "over" in the NMI that had got them.
    pub(super) over_at_once: Tally,
    /// Tickets that came to say "over".
    pub(super) over: Tally,
}

impl GivenUp {
    /// Removals of each kind that there should be.
    pub(super) const WANTED: u64 = REMOVALS_A_KIND;

    pub(super) const fn new() -> Self {
        Self {
            removed: [const { Tally::new() }; KINDS.len()],
            over_at_once: Tally::new(),
            over: Tally::new(),
        }
    }

    /// Removals of all kinds.
    pub(super) fn all(&self) -> u64 {
        self.removed.iter().map(Tally::get).sum()
    }
}

/// The handler that CPU 0 registers and removes, for NMIs to interrupt that.
struct Decoy;
static DECOY: Decoy = Decoy;

// SAFETY: touches nothing.
unsafe impl NmiHandler for Decoy {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::None
    }
}

/// Registers and removes until the NMI that is on its way to CPU 0 has come, or for long enough.
fn write_until_interrupted() {
    let before = rings::answered(0);
    for _ in 0..MOST_WRITES {
        let decoy = hand_over::in_a_writer(|| nmi::register("decoy", Class::Local, 120, &DECOY));
        hand_over::in_a_writer(|| nmi::remove(decoy));
        if rings::answered(0) != before {
            return;
        }
    }
}

/// Lets an NMI carry out the order, and returns the outcome.
fn have_done(order: Order, storm: Storm, cpus: usize) -> Option<Outcome> {
    for attempt in 0..TRIES {
        if order.on_top_of_writer {
            storm.stir();
            write_until_interrupted();
        } else {
            storm.let_nmis_come(cpus);
        }
        if attempt > TRIES_AT_ONCE && storm != Storm::No {
            let removal = awaited!("a removal by an NMI");
            idle::until_or_ms(removal, hand_over::is_done, PAUSE_MS);
        }
        if let Some(outcome) = hand_over::collect() {
            return Some(outcome);
        }
    }
    None
}

/// Waits until the removal is over. Returns whether it is.
fn wait_for(ticket: &mut Ticket) -> bool {
    let over = awaited!("the last call of a handler that was removed");
    patience::spin_until(over, || ticket.is_over(), TICKET_TURNS)
        || patience::sleep_until(over, || ticket.is_over())
}

/// Makes all removals. CPU 0. It stops at the first that no NMI makes: it would wait for the others
/// in vain.
pub(super) fn play(run: &Run, storm: Storm, verdicts: &GivenUp) {
    let unmap_at_once = run.has_fault("ticket-ignored");
    for number in 0..REMOVALS_A_KIND {
        for (kind, removed) in KINDS.iter().zip(&verdicts.removed) {
            let loaded = loader::load();
            let on_top_of_writer = *kind == Kind::OnTopOfWriter;
            let order = Order {
                cpu: if on_top_of_writer { 0 } else { number as usize % run.cpus },
                by: if *kind == Kind::Itself { By::Itself } else { By::Another },
                what: if unmap_at_once { What::TryRemoveAndUnmap } else { What::TryRemove },
                on_top_of_writer,
                first_page: loaded.first_page(),
            };
            hand_over::offer(order, rounds::register("module", &loaded));
            let outcome = have_done(order, storm, run.cpus);
            let Some(Outcome::GivenUp { mut ticket, over_at_once }) = outcome else {
                if let Some(registration) = hand_over::withdraw() {
                    nmi::remove(registration);
                    loaded.unload(run.cpus);
                }
                return;
            };
            removed.add(1);
            verdicts.over_at_once.add(u64::from(over_at_once));
            if !wait_for(&mut ticket) {
                return;
            }
            verdicts.over.add(1);
            loaded.unload(run.cpus);
        }
    }
}
