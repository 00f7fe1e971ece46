// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants: which edges without a condition are explained.
//!
//! An *orphan* is an edge whose condition an earlier claim has already consumed. A *true unknown*
//! is an edge that nothing explains. So a CPU keeps a [`ledger`]: the rings that may still come to
//! it, each until its own deadline. A ring in it is a *grant*: it explains one orphan.
//!
//! # The rule
//!
//! * A claim **adds** the [`rings`] that it stands for: one for each [`doorbell`] and each send
//!   that was claimed and that may ring this CPU, and those that the doorbell's
//!   [`EdgeModel`](crate::EdgeModel) names besides.
//! * Claims of other CPUs, and claims made [outside an
//!   NMI](crate::Registration::claim_outside_nmi), add theirs: they are [`published`], and each CPU
//!   on the [route](routes) [adopts](adopt) them when it might need them, [once](seen).
//! * An edge **takes** the ring that is due earliest. If there is none, nothing explains the edge.
//! * An *open point* **drops** the rings that were due before it: it is a moment at which this CPU
//!   would have taken any edge that had come. A CPU's tick is one, its entry into idle, and, once
//!   it has left an NMI, the end of the NMI before that one. Where no open point comes, a cap ends
//!   a ring. The clock alone ends none: a deadline says when the ring has reached the CPU's latch,
//!   not when the CPU took it.
//!
//! A [balance] does so for what one dispatch or poll has claimed. One ring, one edge and an empty
//! ledger leave an empty ledger: that is the usual NMI, and it touches nothing here.
//!
//! # Why no ring is called unknown
//!
//! Call *outstanding* a ring whose claim was made and that no edge has taken. Sort the deadlines of
//! the outstanding rings, and those in the ledger, from the latest down. The ledger *dominates*: at
//! each place its deadline is at least that of the outstanding ring there. Each step keeps that:
//!
//! 1. A claim adds the same deadline to both.
//! 2. An edge that is a ring takes *some* outstanding one away, nobody knows which. The ledger
//!    loses its earliest: what is left of it still dominates what is left of those.
//! 3. Two rings that collapse into one edge take two away on the one side, one on the other.
//! 4. At an open point both lose what was due before.
//! 5. A claim may be made, or adopted, after its ring has come: then an edge that this CPU took
//!    before was that ring, and something else was taken for it, which is outstanding. So an added
//!    ring is due no earlier than what this CPU took or claimed last.
//! 6. An edge may take a ring while its own condition still waits for the poll that its CPU owes.
//!    Then the ledger lacks a ring, which that poll adds. No edge is called unknown before: it asks
//!    the handlers itself, or waits for a later poll. And none takes a ring so while another waits.
//!
//! So a ring finds the ledger with something in it. An edge that is no ring takes a ring that it
//! does not deserve; it is hidden, and may have a later ring called unknown in its place: never are
//! there more unknowns said than there were.
//!
//! # What may be hidden
//!
//! An edge that is no ring, while a ring may still come: no longer than the deadline of *that* ring
//! and the open point after it. The CPU [counts](live_time) for how long that could happen, and
//! [reports](rationing) an edge that repeats.
//!
//! # Rings without a deadline
//!
//! A CPU may take a send before its sender rings: another source's NMI took the request. That ring
//! is due after the send has finished. A sender that is stuck may leave it unfinished for ever; so
//! after `hold_us` the ring is written off. It explains no edge any more, but one edge that nothing
//! explains is called a *late send* for it, which never panics. Its own edge may have taken another
//! ring before, so that excuse lasts for as long as what edges took may still come. And the ring of
//! a claim outside an NMI has a deadline once that claim is over.
//!
//! # Which code touches it
//!
//! Only the outermost code of its CPU, inside the read side: a dispatch on top of nothing, or
//! ordinary code with interrupts off. So plain loads and stores do. An NMI on top leaves what it
//! claims in the [`tray`]. Writers, on any CPU, write the routes, under the writer
//! lock. Other CPUs only read, to [show it](crate::Granted).

mod adopt;
mod balance;
mod doorbell;
mod entry;
mod held;
mod ledger;
mod live_time;
mod published;
mod rationing;
mod rings;
mod routes;
mod seen;
#[cfg(all(test, not(loom)))]
mod tests;
mod tray;

pub(crate) use adopt::PlatformSlots;
pub(crate) use doorbell::{RingTarget, SlotDoorbell, most_late_us};
pub(crate) use entry::{Due, Grant};
pub(crate) use ledger::Ledger;
pub(crate) use live_time::LiveTime;
pub(crate) use published::{MachineWideClaims, PublishedClaims};
pub(crate) use rings::Rings;
pub(crate) use tray::Tray;
