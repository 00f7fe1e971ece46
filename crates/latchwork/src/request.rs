// SPDX-License-Identifier: MIT OR Apache-2.0
//! The request word: NMIs that software sends, counted.
//!
//! Each CPU has one word in which a counter per [`Request`] is packed. A sender adds one and rings;
//! the receiver takes all of them by one swap. Counters, not bits, because every sender rings: three
//! sends that one NMI takes leave up to two edges that will find nothing, and the receiver must know
//! that they are three.
//!
//! A second word counts finished sends, those whose ring has been made. `taken + pending − finished`
//! are unfinished: their edge is still to come.
//!
//! # Orderings
//!
//! *Pending*: written by senders on any CPU (add) and by the receiving CPU in NMI (swap). The add is
//! Release and the swap Acquire: what the sender stored before is visible to the handlers. The
//! receiver's first load is Relaxed: a stale 0 is harmless, because the sender's edge comes after its
//! add is visible ([`Platform::ring`](crate::Platform::ring)) and finds it.
//!
//! *Finished*: written by senders (Release, after the ring), read by the receiving CPU (Acquire), and
//! read before *pending*, so that a send in between counts as unfinished, never as finished twice.
//!
//! *Taken*: written and read by the receiving CPU; an atomic add because an NMI may nest in it.
//!
//! # Limits
//!
//! A counter is refused at half its range ([`SendError::Saturated`](crate::SendError::Saturated)).
//! It cannot overflow beyond that, into its neighbour: a sender is between its look and its add with
//! interrupts off, so at most two contexts a CPU are, a thread and an NMI, and the other half has
//! room for them. `PROBE`, `SELFTEST` and `AGAIN` are narrower, for which reason a CPU sends them to itself
//! only.

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom};

/// What a software NMI asks of the CPU that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Park, after leaving the read side.
    Stop = 0,
    /// Report where this CPU is.
    Backtrace = 1,
    /// Whatever the kernel agreed with itself.
    Call = 2,
    /// Ask the Platform handlers, whatever else explains the edge. To the sending CPU only.
    Probe = 3,
    /// Prove that NMIs arrive. To the sending CPU only.
    Selftest = 4,
    /// Take an NMI for what this CPU has noted for itself. To the sending CPU only; the library sends it.
    Again = 5,
}

/// Where each request's counter lies in the word.
#[derive(Clone, Copy)]
struct Field {
    shift: u32,
    bits: u32,
}

impl Field {
    const fn unit(self) -> usize {
        1 << self.shift
    }

    const fn of(self, word: usize) -> usize {
        word >> self.shift & !(usize::MAX << self.bits)
    }

    const fn refused_at(self) -> usize {
        1 << self.bits >> 1
    }
}

impl Request {
    pub(crate) const ALL: [Self; 6] =
        [Self::Stop, Self::Backtrace, Self::Call, Self::Probe, Self::Selftest, Self::Again];

    const WIDE_BITS: u32 = if usize::BITS >= 64 { 16 } else { 8 };
    const NARROW_BITS: u32 = if usize::BITS >= 64 { 5 } else { 2 };

    const fn field(self) -> Field {
        match self {
            Self::Stop => Field { shift: 0, bits: Self::WIDE_BITS },
            Self::Backtrace => Field { shift: Self::WIDE_BITS, bits: Self::WIDE_BITS },
            Self::Call => Field { shift: 2 * Self::WIDE_BITS, bits: Self::WIDE_BITS },
            Self::Probe => Self::narrow(0),
            Self::Selftest => Self::narrow(1),
            Self::Again => Self::narrow(2),
        }
    }

    const fn narrow(index: u32) -> Field {
        let wide = Self::WIDE_BITS.wrapping_mul(3);
        let shift = wide.wrapping_add(Self::NARROW_BITS.wrapping_mul(index));
        Field { shift, bits: Self::NARROW_BITS }
    }

    /// Only the CPU itself may send it.
    pub(crate) const fn is_to_self_only(self) -> bool {
        matches!(self, Self::Probe | Self::Selftest | Self::Again)
    }
}

/// A set of counted requests: what one NMI took, or what is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests(usize);

impl Requests {
    pub(crate) const NONE: Self = Self(0);

    /// How many sends of `request` are in the set.
    #[must_use]
    pub const fn count(self, request: Request) -> usize {
        request.field().of(self.0)
    }

    /// How many sends are in the set.
    #[must_use]
    pub const fn total(self) -> usize {
        let mut total: usize = 0;
        let mut rest: &[Request] = &Request::ALL;
        while let [request, others @ ..] = rest {
            total = total.wrapping_add(self.count(*request));
            rest = others;
        }
        total
    }

    /// Nothing was sent.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One CPU's incoming requests.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pending: AtomicUsize,
    finished: AtomicUsize,
}

/// The request's counter stands at half its range.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Saturated;

impl Mailbox {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { pending: AtomicUsize::new(0), finished: AtomicUsize::new(0) }
        }
    }

    /// Sender, before the ring, with interrupts off. NMI-safe.
    pub(crate) fn post(&self, request: Request) -> Result<(), Saturated> {
        let field = request.field();
        if field.of(self.pending.load(Ordering::Relaxed)) >= field.refused_at() {
            return Err(Saturated);
        }
        self.pending.fetch_add(field.unit(), Ordering::Release);
        Ok(())
    }

    /// Sender, after the ring. NMI-safe.
    pub(crate) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Release);
    }

    /// Receiver, in NMI: takes everything that is pending.
    #[inline(always)]
    pub(crate) fn take(&self) -> Requests {
        if self.pending.load(Ordering::Relaxed) == 0 {
            return Requests::NONE;
        }
        Requests(self.pending.swap(0, Ordering::Acquire))
    }

    /// Sends that are posted and whose ring is not known to be made, given how many sends this CPU
    /// has taken. Exact on the receiving CPU in NMI; elsewhere a take in progress may be missed.
    pub(crate) fn unfinished(&self, taken: &AtomicUsize) -> usize {
        let finished = self.finished.load(Ordering::Acquire);
        let pending = Requests(self.pending.load(Ordering::Relaxed)).total();
        let sent = taken.load(Ordering::Relaxed).wrapping_add(pending);
        let unfinished = sent.wrapping_sub(finished);
        if unfinished > usize::MAX / 2 { 0 } else { unfinished }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_touch_each_other() {
        let mailbox = Mailbox::new();
        for (times, request) in (1..).zip(Request::ALL) {
            for _ in 0..times {
                mailbox.post(request).unwrap();
            }
        }
        let taken = mailbox.take();
        for (times, request) in (1..).zip(Request::ALL) {
            assert_eq!(taken.count(request), times);
        }
        assert_eq!(taken.total(), 21);
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn a_counter_is_refused_at_half_its_range_and_spares_its_neighbours() {
        for request in Request::ALL {
            let mailbox = Mailbox::new();
            let mut accepted = 0;
            while mailbox.post(request).is_ok() {
                accepted += 1;
            }
            assert_eq!(accepted, request.field().refused_at());
            let taken = mailbox.take();
            assert_eq!((taken.count(request), taken.total()), (accepted, accepted));
        }
    }

    #[test]
    fn the_other_half_has_room_for_every_context_that_may_add_after_its_look() {
        for request in Request::ALL {
            let contexts = if request.is_to_self_only() { 2 } else { 2 * crate::MAX_CPUS };
            assert!(request.field().refused_at() >= contexts, "{request:?}");
        }
    }

    #[test]
    fn the_fields_do_not_overlap() {
        let mut seen: usize = 0;
        for request in Request::ALL {
            let field = request.field();
            let mask = ((1 << field.bits) - 1) << field.shift;
            assert_eq!(seen & mask, 0, "{request:?}");
            seen |= mask;
        }
    }
}
