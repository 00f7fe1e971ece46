// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens at a CPU's tick, and when it is about to idle.

use super::mode::Recovery;
use crate::{
    contract::{Platform, Request},
    cpu::PerCpu,
    nmi::Nmi,
    time::Timestamp,
};

impl<P: Platform> Nmi<P> {
    /// Does everything that is due at a tick except deferred work. Own CPU, outside dispatch,
    /// interrupts off.
    pub(crate) fn run_tick_duties(&'static self, cpu: usize, area: &PerCpu) {
        let now = self.now();
        self.update_hold(area, now);
        self.ask_again(cpu, area);
        self.pay_debt(cpu, area, now);
        if area.deferred.has_waiting() {
            self.inside_read_side(cpu, area, |_| {});
        }
        self.end_storms(cpu, area);
        self.note_open_point(cpu, area, now);
    }

    /// Notes that this CPU has taken any edge that came before `now`.
    ///
    /// An NMI on top of the adoption may need what is being adopted: it leaves its edge to this
    /// CPU, which is inside the read side for that.
    fn note_open_point(&'static self, cpu: usize, area: &PerCpu, now: Timestamp) {
        let recovery = &self.core.recovery;
        let limits = self.limits();
        if area.grants.has_unseen_claims(&recovery.hot.machine_wide) {
            self.inside_read_side(cpu, area, |_| {
                area.grants.adopt(&self.core.registry, &recovery.hot.machine_wide, now, limits);
            });
        }
        area.grants.note_open_point(now, area.deferred.unsettled(), limits);
    }

    fn pay_debt(&'static self, cpu: usize, area: &PerCpu, now: Timestamp) {
        let recovery = &self.core.recovery;
        let limits = self.limits();
        let Some(owed) = recovery.hot.debt.owed() else {
            return;
        };
        if !owed.is_older_than(limits.tick_period(), now, limits.overdue()) {
            return;
        }
        if recovery.mode() == Recovery::ProbeNmi {
            let Some(renewed) = recovery.hot.debt.renew(owed, now) else {
                return;
            };
            area.duties.set_own_debt(renewed);
            recovery.counters.count_tick(Recovery::ProbeNmi);
            if self.send(cpu, Request::Probe).is_ok() {
                return;
            }
        } else {
            recovery.counters.count_tick(Recovery::Poll);
        }
        self.poll_outside_nmi(cpu, area);
    }

    /// A handler returned [`Claim::More`](crate::Claim::More): this CPU sends itself the NMI in
    /// which it asks that handler again. Where it cannot, the duty stays for its next tick. Own
    /// CPU, outside dispatch, interrupts off.
    pub(crate) fn ask_again(&'static self, cpu: usize, area: &PerCpu) {
        if area.duties.take_ask_again() && self.send(cpu, Request::Again).is_err() {
            area.duties.ask_again();
        }
    }

    /// Pays what this CPU owes: it is offline, about to leave, and made the debt.
    pub(crate) fn pay_before_leaving(&'static self, cpu: usize, area: &PerCpu) {
        if self.is_maker(area) {
            self.poll_outside_nmi(cpu, area);
        }
    }

    /// Before this CPU opens, or leaves an NMI.
    pub(crate) fn update_hold(&self, area: &PerCpu, now: Timestamp) {
        if area.grants.waits_for_send() {
            let limits = self.limits();
            area.grants.update_hold(|| area.unfinished_sends(), now, || self.now(), limits);
        }
    }

    /// Says that this CPU is about to idle. The kernel calls it with interrupts off, before each
    /// wait for an interrupt. What is granted here then ends at its deadline, and not only at the
    /// next tick, which may be stopped. Not NMI-safe: in an NMI it does nothing.
    pub fn entering_idle(&'static self) {
        let _ = self.on_this_cpu(|cpu, area| {
            if !area.is_in_dispatch() {
                let now = self.now();
                self.update_hold(area, now);
                self.note_open_point(cpu, area, now);
            }
        });
    }
}
