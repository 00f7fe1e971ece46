// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox: software requests that are on their way to a CPU.
//!
//! Each CPU has one word of [`Requests`]. A sender adds one and rings; the receiver takes all of
//! them by one swap.
//!
//! A second word counts the finished sends: those whose sender has rung. So
//! `taken + pending − finished` sends are unfinished: their edge is still to come.
//!
//! # Orderings
//!
//! *Pending*: written by senders on any CPU (add) and by the receiving CPU in NMI (swap). The add
//! is Release and the swap Acquire: what the sender stored before is visible to the handlers. The
//! receiver's first load is Relaxed: a stale 0 is harmless, because the sender's edge comes after
//! its add is visible ([`Platform::ring`](crate::Platform::ring)) and finds it.
//!
//! *Finished*: written by senders (Release, after the ring), read by the receiving CPU (Acquire),
//! and read before *pending*, so that a send in between counts as unfinished, never as finished
//! twice.
//!
//! *Taken*: written and read by the receiving CPU; an atomic add because an NMI may nest in it.
//! Also written, while that CPU executes nothing, by the CPU that marks it offline.

use crate::{
    contract::{Request, Requests},
    primitive::{AtomicUsize, Ordering, const_unless_loom},
};

/// One CPU's incoming requests.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pending: AtomicUsize,
    finished: AtomicUsize,
}

/// As many of the request are pending as are let through.
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
        if field.count_in(self.pending.load(Ordering::Relaxed)) >= field.refused_at {
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
        Requests::from_word(self.pending.swap(0, Ordering::Acquire))
    }

    /// How many of the first `taken` sends have not finished, at least. It takes each that has
    /// finished for one of these, though its request may still be pending.
    pub(super) fn least_unfinished_of(&self, taken: usize) -> usize {
        let unfinished = taken.wrapping_sub(self.finished.load(Ordering::Acquire));
        if unfinished > usize::MAX / 2 { 0 } else { unfinished }
    }

    /// How many sends the receiver has taken, if no more than `unfinished` have not finished. It
    /// takes none meanwhile.
    pub(super) fn taken_if_unfinished(&self, unfinished: usize) -> usize {
        let finished = self.finished.load(Ordering::Acquire);
        let pending = Requests::from_word(self.pending.load(Ordering::Relaxed)).total();
        finished.wrapping_sub(pending).wrapping_add(unfinished)
    }

    /// Whether requests are pending, and none of them is an [`Again`](Request::Again), which
    /// whoever asks this adds then.
    pub(super) fn lacks_own_ring(&self) -> bool {
        let pending = Requests::from_word(self.pending.load(Ordering::Relaxed));
        !pending.is_empty() && pending.count(Request::Again) == 0
    }

    /// How many sends are posted whose ring is not known to be made, given how many sends this CPU
    /// has taken. Exact on the receiving CPU in NMI; elsewhere a take in progress may be missed.
    pub(crate) fn unfinished(&self, taken: &AtomicUsize) -> usize {
        let finished = self.finished.load(Ordering::Acquire);
        let pending = Requests::from_word(self.pending.load(Ordering::Relaxed)).total();
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
    fn unfinished_sends_are_counted_across_the_wrap() {
        let (mailbox, taken) = (Mailbox::new(), AtomicUsize::new(usize::MAX - 1));
        mailbox.finished.store(usize::MAX - 1, Ordering::Relaxed);
        for unfinished in 1..=4 {
            mailbox.post(Request::Call).unwrap();
            taken.fetch_add(mailbox.take().total(), Ordering::Relaxed);
            assert_eq!(mailbox.unfinished(&taken), unfinished);
        }
        for unfinished in (0..4).rev() {
            mailbox.finish();
            assert_eq!(mailbox.unfinished(&taken), unfinished);
        }
    }

    #[test]
    fn a_counter_is_refused_in_time_and_spares_its_neighbours() {
        for request in Request::ALL {
            let mailbox = Mailbox::new();
            let mut accepted = 0;
            while mailbox.post(request).is_ok() {
                accepted += 1;
            }
            assert_eq!(accepted, request.field().refused_at);
            let taken = mailbox.take();
            assert_eq!((taken.count(request), taken.total()), (accepted, accepted));
        }
    }
}
