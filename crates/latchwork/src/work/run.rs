// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running queued items: at the interrupt for work, at the tick, and for CPUs that are offline.

use super::item::{Urgency, Work};
use crate::{contract::Platform, cpu::PerCpu, nmi::Nmi};

impl<P: Platform> Nmi<P> {
    /// Runs this CPU's items of urgency [`Now`](Urgency::Now), and also the lazy ones if its tick
    /// is stopped or it is offline. Runs what CPUs that are offline left as well. Returns how many
    /// items ran. Not NMI-safe: in an NMI it does nothing.
    ///
    /// The kernel calls it
    ///
    /// 1. from the interrupt that [`Platform::interrupt_for_work`] raises;
    /// 2. after [`go_offline`](Self::go_offline), before the CPU is halted: so a CPU runs its own
    ///    items before it leaves. If the kernel does not, another CPU runs them.
    ///
    /// It runs what was queued before it began. An item that is queued meanwhile raises an
    /// interrupt of its own. So an item that calls this runs nothing by it.
    ///
    /// It also does what this CPU noted in an NMI. If the CPU's tick is stopped and the CPU made a
    /// debt or deferred an edge, it asks for a tick ([`Platform::restart_tick`]). If the CPU is
    /// offline, it pays the debt. If a handler returned [`Claim::More`](crate::Claim::More), the
    /// CPU takes the NMI in which it asks its handlers again.
    pub fn run_work(&'static self) -> usize {
        let _ = self.on_this_cpu(|cpu, area| {
            if area.is_in_dispatch() {
                return;
            }
            self.be_online_if_just_started(cpu, area);
            self.ask_again(cpu, area);
            if area.presence().is_away() {
                self.pay_before_leaving(cpu, area);
            } else if area.work.tick_is_stopped() && self.needs_tick(cpu, area) {
                self.platform.restart_tick();
            }
        });
        self.run_here(|area| area.work.tick_is_stopped() || area.presence().is_away())
    }

    /// Does what is due at this CPU's tick; the kernel calls it from each CPU's tick, with
    /// interrupts off. It pays a debt that is due, settles edges that this CPU had deferred, and
    /// ends grants whose time has passed. Where a handler returned
    /// [`Claim::More`](crate::Claim::More) and this CPU could not send itself the NMI for it, it
    /// tries again. It runs this CPU's items of either urgency, and what CPUs that are offline
    /// left. Returns how many items ran. Not NMI-safe: in an NMI it does nothing.
    pub fn tick(&'static self) -> usize {
        let _ = self.on_this_cpu(|cpu, area| {
            if area.is_in_dispatch() {
                return;
            }
            self.be_online_if_just_started(cpu, area);
            if !area.presence().is_away() {
                self.run_tick_duties(cpu, area);
            }
        });
        self.run_here(|_| true)
    }

    /// Says that this CPU's tick is stopped: from here on, lazy items run immediately. The library
    /// raises the interrupt for work if lazy items wait already, if this CPU made the debt that is
    /// owed, or if it has edges to settle. Not NMI-safe.
    ///
    /// Call it pinned, with interrupts off, **after** you have stopped the tick, and then idle as
    /// ever, so that the interrupt ends the idling.
    pub fn tick_stopped(&'static self) {
        let _ = self.on_this_cpu(|cpu, area| {
            if !area.is_in_dispatch() {
                self.be_online_if_just_started(cpu, area);
            }
            if area.work.stop_tick() || self.needs_tick(cpu, area) {
                self.platform.interrupt_for_work(cpu);
            }
        });
    }

    /// Says that this CPU's tick runs again. Not NMI-safe. Call it with interrupts off, after you
    /// have started the tick.
    pub fn tick_restarted(&'static self) {
        let _ = self.on_this_cpu(|_, area| area.work.restart_tick());
    }

    fn run_here(&self, runs_lazy: impl FnOnce(&PerCpu) -> bool) -> usize {
        let ran = self.on_this_cpu(|cpu, area| {
            let mut ran: usize = 0;
            if area.is_in_dispatch() || area.work.is_running_any() {
                return ran;
            }
            let mut run = |item| {
                Run::begin(self, cpu, area, item).call();
                ran = ran.wrapping_add(1);
            };
            area.work.list(Urgency::Now).run_all(&mut run);
            if runs_lazy(area) {
                area.work.list(Urgency::Lazy).run_all(&mut run);
            }
            if !area.presence().is_away() && self.core.take_what_is_left() {
                self.answer_for_what_is_owed(cpu, area);
                self.run_left_work(&mut run);
            }
            ran
        });
        ran.unwrap_or(0)
    }

    /// Runs what CPUs that are offline left on their lists.
    fn run_left_work(&self, run: &mut impl FnMut(&'static Work)) {
        for area in self.core.cpus() {
            if area.presence().is_away() {
                area.work.list(Urgency::Now).run_all(&mut *run);
                area.work.list(Urgency::Lazy).run_all(&mut *run);
            }
        }
    }
}

/// A run of an item. It ends where this is dropped, also where the item unwinds.
struct Run<'a, P: Platform> {
    nmi: &'a Nmi<P>,
    cpu: usize,
    area: &'a PerCpu,
    item: &'static Work,
    has_returned: bool,
}

impl<'a, P: Platform> Run<'a, P> {
    fn begin(nmi: &'a Nmi<P>, cpu: usize, area: &'a PerCpu, item: &'static Work) -> Self {
        item.begin();
        area.work.set_running(Some(item));
        Self { nmi, cpu, area, item, has_returned: false }
    }

    fn call(mut self) {
        self.item.call(self.cpu);
        self.has_returned = true;
    }
}

impl<P: Platform> Drop for Run<'_, P> {
    fn drop(&mut self) {
        self.area.work.set_running(None);
        if let Some(place) = self.item.end() {
            self.nmi.push_and_notify(self.item, place);
        }
        if !self.has_returned {
            // Whatever is behind the item that unwinds, on whichever list, runs in an interrupt of
            // its own.
            self.nmi.core.mark_something_left();
            self.nmi.platform.interrupt_for_work(self.cpu);
        }
    }
}
