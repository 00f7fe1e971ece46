// SPDX-License-Identifier: MIT OR Apache-2.0
//! Putting an item on a list, and notifying the CPU that will run it.

use core::{error::Error, fmt};

use super::item::{Claimed, Place, Urgency, Work};
use crate::{
    contract::Platform,
    cpu::PerCpu,
    nmi::Nmi,
    primitive::{Ordering, fence},
};

impl<P: Platform> Nmi<P> {
    /// Queues `item` to run on this CPU. **NMI-safe**, wait-free.
    ///
    /// Returns whether this call queued it; `false` means that it was queued already, and then it
    /// runs once, where and when it was to run. Items of one CPU and urgency run in the order in
    /// which they were queued.
    ///
    /// Any context may queue an item while it runs, the item itself included. Then the item runs
    /// once more afterwards, never on two CPUs at the same time. If several calls queued it
    /// meanwhile, it runs on the CPU and with the urgency of the last one.
    ///
    /// *Ordering*: what the caller stored before is visible to the run, whether this returns `true`
    /// or `false`.
    ///
    /// # Errors
    ///
    /// See [`QueueError`]; nothing has changed then.
    pub fn queue(&'static self, item: &'static Work, urgency: Urgency) -> Result<bool, QueueError> {
        self.queue_in(None, item, urgency)
    }

    /// Queues `item` to run on `cpu`, as [`queue`](Self::queue) does on this one. **NMI-safe**,
    /// wait-free.
    ///
    /// If that CPU goes offline before it has run the item, another may run it.
    ///
    /// # Errors
    ///
    /// See [`QueueError`]; nothing has changed then.
    pub fn queue_on(
        &'static self,
        cpu: usize,
        item: &'static Work,
        urgency: Urgency,
    ) -> Result<bool, QueueError> {
        self.queue_in(Some(cpu), item, urgency)
    }

    fn queue_in(
        &self,
        cpu: Option<usize>,
        item: &'static Work,
        urgency: Urgency,
    ) -> Result<bool, QueueError> {
        let cpus = self.core.cpus();
        if cpus.is_empty() {
            return Err(QueueError::NotInitialised);
        }
        let interrupts = self.platform.disable_interrupts();
        let cpu = cpu.or_else(|| self.platform.current_cpu());
        let target = cpu.and_then(|cpu| Some((cpu, cpus.get(cpu)?)));
        let queued = match target {
            None => Err(QueueError::NoSuchCpu { cpu }),
            Some((cpu, area)) if area.presence().is_away() => Err(QueueError::Offline { cpu }),
            Some(_) if !item.owner.is_or_becomes(self.core.id()) => Err(QueueError::OtherSubsystem),
            Some((cpu, _)) => Ok(self.claim_and_push(item, Place { cpu, urgency })),
        };
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { self.platform.restore_interrupts(interrupts) };
        queued
    }

    fn claim_and_push(&self, item: &'static Work, place: Place) -> bool {
        match item.claim(place) {
            Claimed::ByQueuer => {
                self.push_and_notify(item, place);
                true
            }
            Claimed::ByRunner => true,
            Claimed::Before => false,
        }
    }

    /// Puts a claimed item on its list. Any context, with interrupts off.
    pub(super) fn push_and_notify(&self, item: &'static Work, place: Place) {
        let Some(area) = self.core.cpus().get(place.cpu) else {
            return;
        };
        area.work.list(place.urgency).push(item);
        self.notify_cpu(place, area);
    }

    /// Notifies a CPU that an item was put on a list, after the item was linked.
    ///
    /// The fence comes after the link. Its partners are those of [`Nmi::tick_stopped`],
    /// [`Nmi::go_offline`], [`Nmi::mark_offline`] and [`Nmi::come_online`], each between a store of
    /// what is read here and a look at the lists. Whichever of the two fences comes first: either
    /// this producer sees what that CPU stored, or that CPU sees the item, linked.
    fn notify_cpu(&self, place: Place, area: &PerCpu) {
        fence(Ordering::SeqCst);
        if area.presence().is_away() {
            self.core.mark_something_left();
            if let Some(this_cpu) = self.platform.current_cpu() {
                self.platform.interrupt_for_work(this_cpu);
            }
        } else if place.urgency == Urgency::Now || area.work.tick_is_stopped() {
            self.platform.interrupt_for_work(place.cpu);
        }
    }
}

/// The library did not queue an item; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The kernel has not called [`Nmi::init`](crate::Nmi::init).
    NotInitialised,
    /// There is no such CPU.
    NoSuchCpu {
        /// Its number; `None` if the calling CPU has none yet.
        cpu: Option<usize>,
    },
    /// That CPU is [offline](crate::Nmi::go_offline), or it was never started and has not [come
    /// online](crate::Nmi::come_online) yet.
    Offline {
        /// That CPU.
        cpu: usize,
    },
    /// Another subsystem queued the item before, and the item belongs to that one. Make one item
    /// for each subsystem.
    OtherSubsystem,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised: call init first"),
            Self::NoSuchCpu { cpu: Some(cpu) } => write!(f, "there is no CPU {cpu}"),
            Self::NoSuchCpu { cpu: None } => f.write_str("this CPU has no number yet"),
            Self::Offline { cpu } => {
                write!(f, "CPU {cpu} is offline or not started: queue it on another")
            }
            Self::OtherSubsystem => f.write_str("the item belongs to another subsystem"),
        }
    }
}

impl Error for QueueError {}
