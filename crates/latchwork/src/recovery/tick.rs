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
        self.ask_again(cpu, area);
        self.retry_after_leave(cpu, area);
        self.pay_debt(cpu, area, now);
        self.note_open_point(cpu, area, now);
        self.end_storms(cpu, area);
    }

    /// Notes that this CPU has taken any edge that came before `now`, and settles what is open. It
    /// does not drop a ring that an edge may still need.
    fn note_open_point(&'static self, cpu: usize, area: &PerCpu, now: Timestamp) {
        let machine_wide = &self.core.recovery.hot.machine_wide;
        let ledger = &area.ledger;
        if ledger.is_empty() && !area.has_open_edges() && !ledger.has_unseen_claims(machine_wide) {
            return;
        }
        self.inside_read_side(cpu, area, |ctx, clock| {
            self.look_at_what_is_unfinished(area);
            self.adopt(area, now, now);
            self.settle(ctx, clock);
            if area.oldest_edge().is_none() {
                ledger.note_open_point(now, now, self.limits());
            }
        });
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
            if self.make_debt(cpu, area, |debt| debt.renew(owed, now)).is_none() {
                return;
            }
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

    /// Says that this CPU is about to idle. The kernel calls it with interrupts off, before each
    /// wait for an interrupt. What is granted here then ends at its deadline, and not only at the
    /// next tick, which may be stopped. Not NMI-safe: in an NMI it does nothing.
    pub fn entering_idle(&'static self) {
        let _ = self.on_this_cpu(|cpu, area| {
            if !area.is_in_dispatch() {
                self.be_online_if_just_started(cpu, area);
                self.note_open_point(cpu, area, self.now());
            }
        });
    }
}
