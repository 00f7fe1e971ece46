// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants: which edges without a condition are explained.
//!
//! An *orphan* is an edge whose condition an earlier dispatch has already claimed. A *true unknown*
//! is an edge that nothing explains. A grant is for an orphan: it lets a CPU absorb one.
//!
//! A CPU has one [`pool`]: counts of edges that it may absorb, by kind ([`credits`]), and one
//! [`deadline`] for all of them. They come from
//!
//! * a dispatch that [claims] the conditions of k [doorbells](doorbell): k − 1, since one edge
//!   brought it here;
//! * a claim behind a doorbell that rings late or more often than its status says: as many as its
//!   [`EdgeModel`](crate::EdgeModel) names;
//! * a claim of a Platform handler, which may answer a ring that went to another CPU: [`published`]
//!   for each CPU on its [route](routes), and [adopted](adopt) there, [once](seen_claims);
//! * a claim made [outside an NMI](crate::Registration::claim_outside_nmi): one.
//!
//! [`for_claims`] grants what a dispatch, or a poll, has claimed.
//!
//! # When a grant ends
//!
//! At the first [open point](open_points) after its deadline, or by a cap.
//!
//! Every claim moves the deadline of what is granted already on to its own. The edge that brought a
//! granted CPU here may have been the granted one, and then the ring of what was claimed is still
//! to come. For what is granted later than that, the CPU remembers its [last claim](last_claim).
//!
//! A CPU may take a [send](sends) before the sender rings. The ring is then still to come, for as
//! long as the sender pleases, and the send [holds](hold) the open points back.
//!
//! # What may be hidden
//!
//! A true unknown that comes while a grant is live looks like a granted ring. The CPU
//! [counts](live_time) for how long that could happen, and [reports](rationing) a true unknown that
//! repeats.
//!
//! # Which CPU touches it
//!
//! Its own CPU only, in NMI or with interrupts off, so program order suffices, and only an NMI on
//! top can come between two accesses. Such an NMI never makes the pool poorer than the interrupted
//! code believes; each function says why. Writers alone, on any CPU, write the routes, under the
//! writer lock. Other CPUs only read, to [show it](crate::Granted).

mod adopt;
mod claims;
mod credits;
mod deadline;
mod doorbell;
mod for_claims;
mod hold;
mod last_claim;
mod live_time;
mod open_points;
mod pool;
mod published;
mod rationing;
mod routes;
mod seen_claims;
mod sends;

pub(crate) use adopt::{PlatformSlot, PlatformSlots};
pub(crate) use claims::Claims;
pub(crate) use credits::MOST_CREDITS;
pub(crate) use doorbell::{MOST_LATE_US, RingTarget, SlotDoorbell};
pub(crate) use for_claims::BroughtBy;
pub(crate) use live_time::LiveTime;
pub(crate) use open_points::Unsettled;
pub(crate) use pool::Grants;
pub(crate) use published::{MachineWideClaims, PublishedClaims};
