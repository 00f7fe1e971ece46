// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk over the send words of all CPUs, by which a receiver waits.

use super::account::SendsAccount;
use crate::{
    cpu::PerCpu,
    primitive::Ordering,
    read_word::Observed,
    send_wait::{SendWait, UnfinishedSends},
};

/// At how many CPUs one look looks.
const CPUS_AT_A_LOOK: usize = 64;

impl PerCpu {
    /// How many sends are under way, to whichever CPU.
    pub(crate) fn sends_under_way(cpus: &[Self]) -> usize {
        cpus.iter().map(|area| area.own.sending.observe().depth()).fold(0, usize::wrapping_add)
    }

    /// Begins to wait for the sends that are under way. Call it after this CPU has taken requests;
    /// it may have taken some before they rang. `None` if all that it took have rung: their edges
    /// are due within `late` of a clock that is read after this call. Own CPU, outermost, inside
    /// the read side.
    pub(crate) fn wait_for_unfinished_sends(&self, cpus: &[PerCpu]) -> Option<UnfinishedSends> {
        let count = self.unfinished_sends();
        if count == 0 {
            return None;
        }
        let wait = self.wait_for_what_is_under_way(cpus);
        (!self.have_sends_finished(wait, cpus)).then_some(UnfinishedSends { count, wait })
    }

    /// Begins to wait for all that is under way on any CPU: sends, whether posted or not, and
    /// claims outside an NMI. Own CPU, outermost, inside the read side.
    pub(crate) fn wait_for_what_is_under_way(&self, cpus: &[PerCpu]) -> SendWait {
        match self.sends.is_in_progress(cpus.len()) {
            true => self.sends.walk().next(),
            false => self.begin_send_walk(),
        }
    }

    /// Goes on with the waits up to `last`. Returns the last one that is over: all sends that were
    /// under way when it began have finished, and their edges are due within `late` of a clock that
    /// is read after this call. It looks at a bounded number of CPUs; ask again at each end of an
    /// NMI, tick and idle entry. Own CPU, outermost, inside the read side.
    pub(crate) fn finish_waits(&self, last: SendWait, cpus: &[PerCpu]) -> SendWait {
        let walk = self.sends.walk();
        if last.is_before(walk) {
            return last;
        }
        if !self.go_on_with_send_walk(cpus) {
            return walk.before();
        }
        // `last` is of this walk, or of the next.
        if last == walk {
            return walk;
        }
        let next = self.begin_send_walk();
        if self.go_on_with_send_walk(cpus) { next } else { walk }
    }

    /// Whether `wait` is over.
    pub(crate) fn have_sends_finished(&self, wait: SendWait, cpus: &[PerCpu]) -> bool {
        !self.finish_waits(wait, cpus).is_before(wait)
    }

    fn begin_send_walk(&self) -> SendWait {
        self.sends.begin_walk(self.own.taken.load(Ordering::Relaxed))
    }

    fn go_on_with_send_walk(&self, cpus: &[PerCpu]) -> bool {
        let finished = go_on(&self.sends, cpus);
        let taken_before = self.sends.taken_before.load(Ordering::Relaxed);
        if finished && self.own.taken.load(Ordering::Relaxed) == taken_before {
            // All sends that this CPU took have finished, or died with their senders.
            let dead = self.senders.mailbox.least_unfinished_of(taken_before);
            self.own.taken.fetch_add(dead.wrapping_neg(), Ordering::Relaxed);
        }
        finished
    }

    /// Corrects the account of this CPU, which was stopped anywhere, and has been marked offline
    /// since: it may have taken requests and not counted them. On the CPU that marks it, after a
    /// full fence: whoever is not seen in a send here sees it offline.
    ///
    /// The count may be too high until the first walk, never too low.
    pub(crate) fn correct_sends_account(&self, cpus: &[PerCpu]) {
        let under_way = Self::sends_under_way(cpus);
        let taken = self.senders.mailbox.taken_if_unfinished(under_way);
        self.own.taken.store(taken, Ordering::Relaxed);
    }
}

/// Goes on as far as one look does. Returns whether the walk has finished.
fn go_on(sends: &SendsAccount, cpus: &[PerCpu]) -> bool {
    let mut passed = sends.passed.load(Ordering::Relaxed);
    let mut standing_at = sends.standing_at.load(Ordering::Relaxed);
    for area in cpus.iter().skip(passed).take(CPUS_AT_A_LOOK) {
        let now = area.own.sending.observe();
        let moved = standing_at != 0 && now.has_moved_since(Observed::from_word(standing_at));
        if !now.is_outside() && !moved {
            standing_at = if standing_at == 0 { now.word() } else { standing_at };
            break;
        }
        standing_at = 0;
        passed = passed.saturating_add(1);
    }
    sends.passed.store(passed, Ordering::Relaxed);
    sends.standing_at.store(standing_at, Ordering::Relaxed);
    passed >= cpus.len()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::Request;

    /// CPUs of which number 0 receives.
    struct Cpus(Vec<PerCpu>);

    impl Cpus {
        fn new(count: usize) -> Self {
            Self((0..count).map(|_| PerCpu::new()).collect())
        }

        /// CPU `from` begins a send to CPU 0, and is stuck before it rings. Returns what ends it.
        fn begin_send(&self, from: usize) -> impl Fn() {
            self.0[from].own.sending.begin();
            self.0[0].senders.mailbox.post(Request::Call).unwrap();
            move || {
                self.0[0].senders.mailbox.finish();
                self.0[from].own.sending.end();
            }
        }

        fn take(&self) -> Option<UnfinishedSends> {
            self.0[0].take_requests();
            self.0[0].wait_for_unfinished_sends(&self.0)
        }

        fn have_finished(&self, wait: SendWait) -> bool {
            self.0[0].have_sends_finished(wait, &self.0)
        }

        fn unfinished(&self) -> usize {
            self.0[0].unfinished_sends()
        }
    }

    #[test]
    fn a_receiver_waits_for_the_sends_that_it_took_and_for_no_later_one() {
        let cpus = Cpus::new(3);
        assert_eq!(cpus.take(), None);
        let end = cpus.begin_send(1);
        let UnfinishedSends { count, wait } = cpus.take().unwrap();
        assert_eq!((count, cpus.have_finished(wait)), (1, false));
        let end_later = cpus.begin_send(2);
        end();
        assert!(!cpus.have_finished(wait), "it looks at CPU 2 for the first time");
        end_later();
        let chained = cpus.begin_send(2);
        assert!(cpus.have_finished(wait), "that one began later");
        chained();
        cpus.0[0].take_requests();
        assert_eq!((cpus.unfinished(), cpus.take()), (0, None));
    }

    #[test]
    fn sends_that_chain_for_ever_hold_up_no_wait() {
        let cpus = Cpus::new(3);
        let mut ends = [cpus.begin_send(1), cpus.begin_send(2)].map(Some);
        let wait = cpus.take().unwrap().wait;
        for turn in 0.. {
            assert!(turn < 6, "it waits for the chain");
            // One ends after the other has begun: some send is unfinished at all times.
            let at = turn % 2;
            ends[at].take().unwrap()();
            ends[at] = Some(cpus.begin_send(at + 1));
            assert_ne!(cpus.unfinished(), 0);
            if cpus.have_finished(wait) {
                break;
            }
        }
    }

    #[test]
    fn what_is_taken_during_a_wait_waits_for_the_next_one() {
        let cpus = Cpus::new(3);
        let end_second = cpus.begin_send(2);
        let first = cpus.take().unwrap().wait;
        let end_first = cpus.begin_send(1);
        let second = cpus.take().unwrap().wait;
        assert!(second != first && !cpus.have_finished(second));
        end_second();
        assert!(cpus.have_finished(first), "CPU 1 was passed before it began its send");
        assert!(!cpus.have_finished(second));
        end_first();
        assert!(cpus.have_finished(second) && cpus.have_finished(first));
        assert_eq!(cpus.unfinished(), 0);
    }

    #[test]
    fn a_dead_sender_is_waited_for_until_it_is_marked_and_leaves_nothing_in_the_account() {
        let cpus = Cpus::new(3);
        let _died = cpus.begin_send(1);
        let wait = cpus.take().unwrap().wait;
        assert!(!cpus.have_finished(wait));
        assert!(cpus.0[1].own.sending.abandon());
        assert!(cpus.have_finished(wait));
        assert_eq!((cpus.unfinished(), cpus.take()), (0, None));
        let end = cpus.begin_send(2);
        assert_eq!(cpus.take().map(|unfinished| unfinished.count), Some(1));
        end();
    }

    #[test]
    fn who_finishes_before_its_request_is_taken_may_stand_for_the_dead() {
        let cpus = Cpus::new(3);
        let _died = cpus.begin_send(1);
        let wait = cpus.take().unwrap().wait;
        let end = cpus.begin_send(2);
        cpus.0[1].own.sending.abandon();
        end();
        assert!(cpus.have_finished(wait));
        assert_eq!(cpus.unfinished(), 1);
        assert_eq!(cpus.take(), None, "a walk that begins now finds nobody in a send");
        assert_eq!(cpus.unfinished(), 0);
    }

    #[test]
    fn a_look_goes_a_bounded_way() {
        let cpus = Cpus::new(CPUS_AT_A_LOOK * 2 + 1);
        let end = cpus.begin_send(CPUS_AT_A_LOOK * 2);
        let wait = cpus.take().unwrap().wait;
        end();
        assert!(!cpus.have_finished(wait) && cpus.have_finished(wait));
    }

    #[test]
    fn a_receiver_that_died_after_its_take_has_a_right_account_again() {
        let cpus = Cpus::new(3);
        cpus.begin_send(1)();
        cpus.0[0].senders.mailbox.take();
        assert_eq!(cpus.unfinished(), 0, "of minus one");
        let end = cpus.begin_send(2);
        assert_eq!(cpus.unfinished(), 0, "which hides one that is unfinished");
        cpus.0[0].correct_sends_account(&cpus.0);
        cpus.0[0].sends.reset();
        assert_eq!(cpus.unfinished(), 1);
        end();
        cpus.0[0].take_requests();
        assert_eq!(cpus.unfinished(), 0);
    }

    #[test]
    fn numbers_of_walks_wrap() {
        let cpus = Cpus::new(2);
        cpus.0[0].sends.walk.store(usize::MAX - 1, Ordering::Relaxed);
        for _ in 0..4 {
            let end = cpus.begin_send(1);
            let first = cpus.take().unwrap().wait;
            let second = cpus.take().unwrap().wait;
            assert!(second != first && !cpus.have_finished(second));
            end();
            assert!(cpus.have_finished(second) && cpus.have_finished(first));
        }
    }
}
