// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens at a CPU's tick, and who sees to it that there is one.
//!
//! Whoever makes a debt, the *maker*, is the one that must not sleep over it: where its tick is
//! stopped, it raises an interrupt for work, and there asks the kernel for a tick. Everybody else
//! may stop ticking whatever is owed. So an idle machine with one busy CPU keeps one tick, not all.
//! Likewise a CPU does not sleep over edges that it has deferred, since nobody else may settle
//! them, nor over a storm, since nobody else tells its end.
//!
//! The race of a tick that stops: the kernel stops it and says so ([`Nmi::tick_stopped`]), which stores the
//! flag and then looks at the debt; an NMI on that CPU stores the debt and then looks at the flag. Whichever
//! came first, the second sees it.

use super::{Recovery, debt::Owed};
use crate::{cpu::PerCpu, moment::Moment, nmi::Nmi, platform::Platform, request::Request};

impl<P: Platform> Nmi<P> {
    /// Whoever skipped a poll, or knows of another reason for one, after a full fence.
    #[inline(always)]
    pub(crate) fn owe(&self, cpu: usize, area: &PerCpu) {
        let debt = &self.core.shared.hot.debt;
        if debt.owed().is_none() {
            let made = debt.owe(self.now());
            self.answer_for(cpu, area, made);
        }
    }

    /// As [`owe`](Self::owe), for an edge that waits.
    pub(crate) fn owe_for_edge(&self, cpu: usize, area: &PerCpu) {
        let made = self.core.shared.hot.debt.owe_for_edge(self.now());
        self.answer_for(cpu, area, made);
    }

    /// This CPU made the debt, so it sees to it that it has a tick.
    #[cold]
    pub(super) fn answer_for(&self, cpu: usize, area: &PerCpu, made: Option<Owed>) {
        let Some(made) = made else {
            return;
        };
        area.duties.made(made);
        if area.work.tick_is_stopped() {
            self.platform.interrupt_for_work(cpu);
        }
    }

    /// This CPU has deferred an edge, and settles it, or is in a storm, and tells its end.
    pub(crate) fn answer_for_edge(&self, cpu: usize, area: &PerCpu) {
        if area.work.tick_is_stopped() {
            self.platform.interrupt_for_work(cpu);
        }
    }

    /// Makes this CPU the one that answers for what is owed, whoever made it.
    pub(crate) fn take_debt_over(&self, cpu: usize, area: &PerCpu) {
        self.owe_for_edge(cpu, area);
        let debt = &self.core.shared.hot.debt;
        if let Some(owed) = debt.owed() {
            if !area.duties.has_made(owed) {
                self.answer_for(cpu, area, debt.renew(owed, self.now()));
            }
        }
    }

    /// This CPU answers for the debt that is owed now.
    pub(crate) fn is_maker(&self, area: &PerCpu) -> bool {
        self.core.shared.hot.debt.owed().is_some_and(|owed| area.duties.has_made(owed))
    }

    /// This CPU must have a tick: it answers for the debt, or has an edge to settle, or a storm
    /// whose end is to be told.
    pub(crate) fn needs_tick(&self, area: &PerCpu) -> bool {
        area.deferred.any() || self.is_maker(area) || area.storms.any()
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::from_ticks(self.platform.now_ticks())
    }

    /// Everything a tick does but running deferred work. Own CPU, outside dispatch, interrupts off.
    pub(crate) fn recover(&'static self, cpu: usize, area: &PerCpu) {
        let now = self.now();
        self.look_at_sends(area, now);
        self.pay_debt(cpu, area, now);
        if area.deferred.any() {
            self.inside_read_side(cpu, area, |_| {});
        }
        self.end_storms(cpu, area);
        self.open(cpu, area, now);
    }

    /// This CPU has taken any edge that came before `now`.
    ///
    /// An NMI on top of the adoption may need what is being adopted: it leaves its edge to this CPU, which is
    /// inside the read side for that.
    fn open(&'static self, cpu: usize, area: &PerCpu, now: Moment) {
        let shared = &self.core.shared;
        let limits = shared.limits.on(&self.platform);
        if area.grants.is_behind(&shared.hot.wide) {
            self.inside_read_side(cpu, area, |_| {
                area.grants.adopt(&self.core.registry, &shared.hot.wide, now, limits);
            });
        }
        area.grants.open(now, area.deferred.any(), limits);
    }

    fn pay_debt(&'static self, cpu: usize, area: &PerCpu, now: Moment) {
        let shared = &self.core.shared;
        let limits = shared.limits.on(&self.platform);
        let Some(owed) = shared.hot.debt.owed() else {
            return;
        };
        if !owed.is_older_than(limits.tick_period(), now, limits.overdue()) {
            return;
        }
        if shared.mode() == Recovery::ProbeNmi {
            let Some(renewed) = shared.hot.debt.renew(owed, now) else {
                return;
            };
            area.duties.made(renewed);
            shared.counters.count_tick(true);
            if self.send(cpu, Request::Probe).is_ok() {
                return;
            }
        } else {
            shared.counters.count_tick(false);
        }
        self.poll_outside_nmi(cpu, area);
    }

    /// This CPU is offline and about to leave: what it made, it pays.
    pub(crate) fn pay_before_leaving(&'static self, cpu: usize, area: &PerCpu) {
        if self.is_maker(area) {
            self.poll_outside_nmi(cpu, area);
        }
    }

    /// Before this CPU opens, or leaves an NMI.
    pub(crate) fn look_at_sends(&self, area: &PerCpu, now: Moment) {
        if area.grants.waits_for_send() {
            let limits = self.core.shared.limits.on(&self.platform);
            area.grants.look_at_sends(|| area.unfinished_sends(), now, || self.now(), limits);
        }
    }

    /// This CPU is about to idle. The kernel calls it with interrupts off, before each wait for one. What was
    /// granted here then ends at its deadline, and not only at the next tick, which may be stopped. Not
    /// NMI-safe: in an NMI it does nothing.
    pub fn entering_idle(&'static self) {
        let _ = self.on_this_cpu(|cpu, area| {
            if !area.is_in_dispatch() {
                let now = self.now();
                self.look_at_sends(area, now);
                self.open(cpu, area, now);
            }
        });
    }
}
