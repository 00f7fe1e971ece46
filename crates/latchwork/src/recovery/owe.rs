// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which CPU owes a poll, and which answers for it.
//!
//! The CPU that makes a debt, its *maker*, must not sleep over it: if its tick is stopped, it
//! raises an interrupt for work, in which it asks the kernel for a tick. Every other CPU may stop
//! ticking whatever is owed. So an idle machine with one busy CPU keeps one tick, not all. Likewise
//! a CPU does not sleep over edges that it has deferred, since no other CPU may settle them, nor
//! over a storm, since no other CPU reports its end.
//!
//! The race of a tick that stops: the kernel stops it and calls [`Nmi::tick_stopped`], which stores
//! the flag and then looks at the debt; an NMI on that CPU stores the debt and then looks at the
//! flag. Whichever came first, the second sees it.

use super::debt::{Debt, Owed};
use crate::{contract::Platform, cpu::PerCpu, nmi::Nmi};

impl<P: Platform> Nmi<P> {
    /// Owes a poll, for a CPU that skipped one or knows of another reason, after a full fence.
    #[inline(always)]
    pub(crate) fn owe(&self, cpu: usize, area: &PerCpu) {
        if self.core.recovery.hot.debt.owed().is_none() {
            self.make_debt(cpu, area, |debt| debt.owe(self.now()));
        }
    }

    /// As [`owe`](Self::owe), for an edge that waits.
    pub(crate) fn owe_for_edge(&self, cpu: usize, area: &PerCpu) {
        if !self.core.recovery.hot.debt.owed().is_some_and(Owed::has_edge) {
            self.make_debt(cpu, area, |debt| debt.owe_for_edge(self.now()));
        }
    }

    /// Makes a debt by `make`, and sees to it that this CPU has a tick if it has made one.
    ///
    /// An NMI may come at any point here that pays the debt and makes another. So this CPU answers
    /// for any debt before it stores its own, and goes on to do so if the debt is another one after
    /// it has noted its own.
    #[cold]
    pub(super) fn make_debt(
        &self,
        cpu: usize,
        area: &PerCpu,
        make: impl FnOnce(&Debt) -> Option<Owed>,
    ) -> Option<Owed> {
        let debt = &self.core.recovery.hot.debt;
        area.duties.answer_for_any_debt();
        let made = make(debt)?;
        area.duties.set_own_debt(made);
        if debt.owed().is_some_and(|owed| owed != made) {
            area.duties.answer_for_any_debt();
        }
        if area.work.tick_is_stopped() {
            self.platform.interrupt_for_work(cpu);
        }
        Some(made)
    }

    /// Sees to it that this CPU has a tick: it has deferred an edge that it settles, or is in a
    /// storm whose end it reports.
    pub(crate) fn answer_for_edge(&self, cpu: usize, area: &PerCpu) {
        if area.work.tick_is_stopped() {
            self.platform.interrupt_for_work(cpu);
        }
    }

    /// Makes this CPU the one that answers for what is owed, whichever CPU made it.
    pub(crate) fn take_debt_over(&self, cpu: usize, area: &PerCpu) {
        self.owe_for_edge(cpu, area);
        self.answer_for_what_is_owed(cpu, area);
    }

    /// Makes this CPU the one that answers for what is owed, if anything is.
    pub(crate) fn answer_for_what_is_owed(&self, cpu: usize, area: &PerCpu) {
        if let Some(owed) = self.core.recovery.hot.debt.owed() {
            if !area.duties.is_own_debt(owed) {
                self.make_debt(cpu, area, |debt| debt.renew(owed, self.now()));
            }
        }
    }

    /// Whether this CPU answers for the debt that is owed now.
    pub(crate) fn is_maker(&self, area: &PerCpu) -> bool {
        self.core.recovery.hot.debt.owed().is_some_and(|owed| area.duties.is_own_debt(owed))
    }

    /// Has this CPU answer for one debt only, or for none, if it answers for any.
    fn answer_for_one_debt(&self, cpu: usize, area: &PerCpu) {
        if !area.duties.answers_for_any_debt() {
            return;
        }
        let debt = &self.core.recovery.hot.debt;
        match debt.owed() {
            Some(owed) => {
                self.make_debt(cpu, area, |debt| debt.renew(owed, self.now()));
            }
            None => {
                area.duties.answer_for_no_debt();
                if debt.owed().is_some() {
                    area.duties.answer_for_any_debt();
                }
            }
        }
    }

    /// Whether this CPU must have a tick: it answers for the debt, or has an edge to settle, a
    /// storm whose end it reports, or something due after leaving, or a handler to ask again, for
    /// which it could not ring. Outside dispatch, with interrupts off.
    pub(crate) fn needs_tick(&self, cpu: usize, area: &PerCpu) -> bool {
        self.answer_for_one_debt(cpu, area);
        area.has_open_edges()
            || self.is_maker(area)
            || area.storms.has_any()
            || area.own.has_after_leave()
            || area.duties.has_to_ask_again()
    }
}
