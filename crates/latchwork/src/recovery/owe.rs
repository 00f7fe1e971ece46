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

use super::debt::Owed;
use crate::{contract::Platform, cpu::PerCpu, nmi::Nmi};

impl<P: Platform> Nmi<P> {
    /// Owes a poll, for a CPU that skipped one or knows of another reason, after a full fence.
    #[inline(always)]
    pub(crate) fn owe(&self, cpu: usize, area: &PerCpu) {
        let debt = &self.core.recovery.hot.debt;
        if debt.owed().is_none() {
            let made = debt.owe(self.now());
            self.answer_for_debt(cpu, area, made);
        }
    }

    /// As [`owe`](Self::owe), for an edge that waits.
    pub(crate) fn owe_for_edge(&self, cpu: usize, area: &PerCpu) {
        let made = self.core.recovery.hot.debt.owe_for_edge(self.now());
        self.answer_for_debt(cpu, area, made);
    }

    /// Sees to it that this CPU has a tick, if it made the debt.
    #[cold]
    pub(super) fn answer_for_debt(&self, cpu: usize, area: &PerCpu, made: Option<Owed>) {
        let Some(made) = made else {
            return;
        };
        area.duties.set_own_debt(made);
        if area.work.tick_is_stopped() {
            self.platform.interrupt_for_work(cpu);
        }
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
        let debt = &self.core.recovery.hot.debt;
        if let Some(owed) = debt.owed() {
            if !area.duties.is_own_debt(owed) {
                self.answer_for_debt(cpu, area, debt.renew(owed, self.now()));
            }
        }
    }

    /// Whether this CPU answers for the debt that is owed now.
    pub(crate) fn is_maker(&self, area: &PerCpu) -> bool {
        self.core.recovery.hot.debt.owed().is_some_and(|owed| area.duties.is_own_debt(owed))
    }

    /// Whether this CPU must have a tick: it answers for the debt, or has an edge to settle, or a
    /// storm whose end it reports.
    pub(crate) fn needs_tick(&self, area: &PerCpu) -> bool {
        area.deferred.has_waiting() || self.is_maker(area) || area.storms.has_any()
    }
}
