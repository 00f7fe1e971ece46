// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants: which edge without a condition is explained.
//!
//! A CPU has one pool: counts of edges that it may absorb, by kind, and one deadline for them all. They
//! come from
//!
//! * a dispatch that claims the conditions of k doorbells: k − 1, since one edge brought it here;
//! * a claim behind a doorbell that rings late or more often than its status says: as many as its
//!   [`EdgeModel`](crate::EdgeModel) names;
//! * a claim of a Platform handler, which may answer a ring that went to another CPU: [published](machine_wide) for
//!   each CPU on its route, and adopted there;
//! * a claim made [outside an NMI](crate::Registration::claim_outside_nmi): one.
//!
//! # When a grant ends
//!
//! A deadline says when the ring must have reached the CPU's latch, not when the CPU took it: that may have
//! been parked, stopped by firmware, or a virtual CPU that did not run. So the clock alone ends nothing. A
//! grant ends at an **open point** after its deadline: a moment at which the CPU would have taken any edge
//! that had come. These are its tick, its entry into idle, and, once it has left an NMI, the end of the one
//! before. The pool remembers the last of them, and is live while its deadline is not before it. A cap ends it all
//! the same: without any open point, after the deadline or the last NMI, whichever is later.
//!
//! Every claim moves the deadline of what is granted already to its own. The edge that brought a
//! granted CPU here may have been the granted one, and then the ring of what was claimed is still to come.
//!
//! A send that was taken before it rang has its ring ahead of it for as long as its sender pleases. It
//! [holds](hold) the open points back.
//!
//! # Who touches it
//!
//! Its own CPU only, in NMI or with interrupts off, so program order suffices, and what can come between
//! two accesses is an NMI on top. Such an NMI never makes the pool poorer than the interrupted code
//! believes; each function says why. `routes` alone is written by others, under the writer lock. Others only look, for
//! [people](crate::Granted).

mod claims;
mod credits;
mod doorbell;
mod for_claims;
mod hold;
mod live_time;
mod machine_wide;
mod pool;
mod rationing;

pub(crate) use claims::Claims;
pub(crate) use doorbell::{RingTarget, SlotDoorbell};
pub(crate) use for_claims::BroughtBy;
pub(crate) use live_time::LiveTime;
pub(crate) use machine_wide::{MachineWideClaims, PlatformSlot, PlatformSlots, PublishedClaims};
pub(crate) use pool::{Grants, Unsettled};
