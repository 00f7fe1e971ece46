// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which CPU's turn it is.
//!
//! CPU 0 leads: it acts, or lets CPU 1 act and waits until CPU 1 rests. CPU 1 rests when its thread
//! has nothing to do and all of its NMIs are over, or when it [stays](crate::Deed::Stay) inside
//! one. So a CPU sees each store to one of these words before it acts: the CPU that hands over
//! stores, Release, and the CPU that takes over loads, Acquire.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::subject::Subject;

/// The words by which CPU 0 and CPU 1 hand over.
#[derive(Debug)]
pub(crate) struct Turns {
    /// How often CPU 0 has asked CPU 1 to rest. Written by CPU 0.
    asked: AtomicUsize,
    /// How often CPU 1 has rested when it was asked. Written by CPU 1.
    answered: AtomicUsize,
    /// The number of the step that CPU 1 is to do, plus one; 0 if there is none. Written by CPU 0,
    /// and cleared by CPU 1 when it takes it.
    order: AtomicUsize,
    /// CPU 1 stays inside an NMI. Set by CPU 1, cleared by CPU 0.
    stays: AtomicBool,
    /// The sequence is over. Written by CPU 0.
    over: AtomicBool,
}

/// What CPU 1 does next.
pub(crate) enum Turn {
    Do(usize),
    Over,
}

impl Turns {
    pub(crate) const fn new() -> Self {
        Self {
            asked: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            order: AtomicUsize::new(0),
            stays: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Resets the words while no sequence is played.
    pub(crate) fn reset(&self) {
        self.answered.store(self.asked.load(Ordering::Relaxed), Ordering::Relaxed);
        self.order.store(0, Ordering::Relaxed);
        self.stays.store(false, Ordering::Relaxed);
        self.over.store(false, Ordering::Release);
    }

    /// Whether CPU 1 stays inside an NMI. CPU 0.
    pub(crate) fn stays(&self) -> bool {
        self.stays.load(Ordering::Acquire)
    }

    /// Waits until CPU 1 rests. CPU 0.
    pub(crate) fn let_it_rest(&self, subject: &impl Subject, busy: bool) {
        let asked = self.asked.load(Ordering::Relaxed).wrapping_add(1);
        self.asked.store(asked, Ordering::Release);
        subject.wake(1);
        while self.has_yet_to_answer(asked) && !self.stays() {
            subject.rest(busy);
        }
    }

    /// Whether CPU 1 has still to answer. An NMI of CPU 0 during the wait may have asked and got an
    /// answer since.
    fn has_yet_to_answer(&self, asked: usize) -> bool {
        (asked.wrapping_sub(self.answered.load(Ordering::Acquire)) as isize) > 0
    }

    /// Makes CPU 1, which does not stay, do that step. CPU 0's thread.
    pub(crate) fn order(&self, subject: &impl Subject, step: usize) {
        self.order.store(step + 1, Ordering::Release);
        self.let_it_rest(subject, false);
    }

    /// Makes CPU 1 go on if it stays. CPU 0's thread.
    pub(crate) fn release(&self, subject: &impl Subject) {
        if self.stays() {
            self.stays.store(false, Ordering::Release);
            self.let_it_rest(subject, false);
        }
    }

    /// Ends the sequence. CPU 0's thread.
    pub(crate) fn end(&self, subject: &impl Subject) {
        self.over.store(true, Ordering::Release);
        subject.wake(1);
    }

    /// Rests until there is something to do, and returns it. CPU 1's thread.
    pub(crate) fn next(&self, subject: &impl Subject) -> Turn {
        loop {
            let asked = self.asked.load(Ordering::Acquire);
            match self.order.load(Ordering::Acquire) {
                0 => {}
                order => {
                    self.order.store(0, Ordering::Relaxed);
                    return Turn::Do(order - 1);
                }
            }
            if self.over.load(Ordering::Acquire) {
                return Turn::Over;
            }
            if self.answered.load(Ordering::Relaxed) != asked {
                self.answered.store(asked, Ordering::Release);
                subject.wake(0);
            }
            subject.rest(false);
        }
    }

    /// Stays inside an NMI of CPU 1 until CPU 0 releases it. An NMI after the end of the sequence
    /// does not stay.
    pub(crate) fn stay(&self, subject: &impl Subject) {
        self.stays.store(true, Ordering::Release);
        subject.wake(0);
        while self.stays() && !self.over.load(Ordering::Acquire) {
            subject.rest(true);
        }
    }
}
