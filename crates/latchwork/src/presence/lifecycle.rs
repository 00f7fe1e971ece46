// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs that go offline and come back.
//!
//! A CPU that was never started takes no part: no CPU asks it for anything. It comes online by
//! [`Nmi::come_online`], or by itself where it first shows that it runs and can take NMIs: at an
//! NMI, a tick, an interrupt for work, where it idles, or where it calls [`Nmi::init`].
//!
//! An *offline* CPU takes no part either: its NMIs return immediately, no CPU asks it for anything,
//! and no removal waits for it. All of this rests on one invariant: **an offline CPU is in no
//! dispatch**. For a CPU that goes offline by itself, the check in [`Nmi::go_offline`] ensures it.
//! For a CPU that was stopped wherever it was, [`Nmi::mark_offline`] does. So a CPU that comes back
//! needs to reset nothing, and an NMI can come between any two of its steps.

use core::{error::Error, fmt};

use crate::{
    contract::{Class, InDispatch, Platform},
    cpu::PerCpu,
    nmi::Nmi,
    primitive::{Ordering, fence},
};

impl<P: Platform> Nmi<P> {
    /// Takes the calling CPU offline. From the return on, each NMI on this CPU returns immediately:
    /// it asks no handler and reports nothing, counts itself in
    /// [`CpuStats::offline`](crate::CpuStats::offline), and drops and counts the requests that it
    /// takes. Not NMI-safe. On a CPU that is offline this does nothing.
    ///
    /// Call [`run_work`](crate::Nmi::run_work) next: it runs the deferred work that waits here, and
    /// pays the debt, if this CPU made it. Otherwise another CPU runs it, and answers for that: the
    /// library raises its interrupt for work.
    ///
    /// Call this pinned, with interrupts off, before the CPU halts for good or loses power. A
    /// sender that looked at this CPU before it went offline may still post its request and ring.
    /// Then the NMI, or [`come_online`](Self::come_online), drops the request.
    ///
    /// # Errors
    ///
    /// [`PresenceError::InDispatch`] in an NMI, [`PresenceError::NoSuchCpu`] if the calling CPU has
    /// no number or [`init`](Self::init) gave it no area. Nothing has changed then.
    pub fn go_offline(&'static self) -> Result<(), PresenceError> {
        self.on_this_cpu(|cpu, area| {
            if area.is_in_dispatch() {
                return Err(PresenceError::InDispatch(InDispatch { cpu }));
            }
            area.presence().go_away();
            self.judge_what_waits(cpu, area);
            let is_maker = self.is_maker(area);
            self.leave_to_others(area, is_maker);
            self.interrupt_another_for_what_is_left(cpu);
            self.end_all_storms(cpu, area);
            Ok(())
        })
        .unwrap_or_else(|cpu| Err(PresenceError::NoSuchCpu { cpu }))
    }

    /// Brings the calling CPU online; call it before this CPU relies on NMIs. Until then other CPUs
    /// can send it nothing and queue nothing on it. On a CPU that went offline it drops and
    /// counts the requests that were left for this CPU. From the return on, this CPU dispatches its
    /// NMIs. On a CPU that is online it does nothing, so every CPU may call it when it starts. Not
    /// NMI-safe.
    ///
    /// A CPU that has not been offline before also comes online by itself, at its first NMI, tick
    /// or interrupt for work, where it first idles, and where it calls [`init`](Self::init).
    ///
    /// *Ordering*: a sender whose [`send`](Self::send) is no longer refused sees what this CPU did
    /// before.
    ///
    /// NMIs that come to an offline CPU before, while it sets itself up, return immediately. From
    /// here on the library owes a poll of the Platform handlers. What was granted to this CPU
    /// before it went offline, and what it had deferred, counts no more.
    ///
    /// # Errors
    ///
    /// [`PresenceError::InDispatch`] in an NMI, and also if this CPU was stopped inside an NMI and
    /// no CPU called [`mark_offline`](Self::mark_offline) before this CPU was started again.
    /// [`PresenceError::NoSuchCpu`] as for [`go_offline`](Self::go_offline). Nothing has changed
    /// then.
    pub fn come_online(&'static self) -> Result<(), PresenceError> {
        self.on_this_cpu(|cpu, area| {
            // It may do so by an NMI here as well, and be sent requests from then on: so there is
            // nothing of before to drop.
            self.be_online_if_just_started(cpu, area);
            if !area.presence().is_away() {
                return match area.is_in_dispatch() {
                    true => Err(PresenceError::InDispatch(InDispatch { cpu })),
                    false => Ok(()),
                };
            }
            area.drop_requests();
            area.own.forget_after_leave();
            area.sends.reset();
            self.begin_with_an_empty_ledger(area);
            self.be_online(cpu, area);
            if area.work.has_items() {
                self.platform.interrupt_for_work(cpu);
            }
            Ok(())
        })
        .unwrap_or_else(|cpu| Err(PresenceError::NoSuchCpu { cpu }))
    }

    /// Makes this CPU an online one, which has nothing left of the time before.
    fn be_online(&self, cpu: usize, area: &PerCpu) {
        area.presence().come_back();
        // A CPU that saw this CPU offline while it queued work for it: its item is seen by this
        // CPU's next look at its lists. Partner: the fence in `Nmi::notify_cpu`. And the poll that
        // is owed now sees what was asserted while this CPU was away. Partner: the fence in
        // `PollLock::begin`. Who registers a Platform handler that is not seen here owes a poll
        // after this. Partner: the fence in `Nmi::owe_poll`.
        fence(Ordering::SeqCst);
        if !self.core.registry.order(Class::Platform).is_empty() {
            self.owe(cpu, area);
        }
    }

    /// Brings this CPU online if it has not come yet, and no CPU has taken it offline: it shows
    /// that it runs. So a kernel that does not call [`come_online`](Self::come_online) loses
    /// nothing by that. Own CPU, in NMI or with interrupts off.
    #[inline]
    pub(crate) fn be_online_if_just_started(&self, cpu: usize, area: &PerCpu) {
        if area.presence().is_not_started() {
            self.be_online(cpu, area);
        }
    }

    /// Handles an NMI on a CPU that is not known to be online. Returns whether it is turned away.
    #[cold]
    pub(crate) fn turns_away(&self, cpu: usize, area: &PerCpu) -> bool {
        self.be_online_if_just_started(cpu, area);
        if area.presence().is_online_here() {
            return false;
        }
        area.counters.record_offline();
        area.drop_requests();
        true
    }

    /// Takes offline a CPU that executes nothing any more: it got an INIT, was reset, or is dead.
    /// If it was stopped inside an NMI, that NMI is over: removals no longer wait for it, and other
    /// CPUs can ask the Platform handlers again. Not NMI-safe.
    ///
    /// What that CPU was doing is lost: the work of a handler, requests that it had taken and not
    /// served. A send that it was making is not: if the request is pending, the library rings. If
    /// it was stopped while it registered or removed a handler, no CPU can do so any more, since it
    /// holds the writer lock for ever. If it was stopped while it queued or ran deferred work, the
    /// items behind that one on the list never run, and the item that was running never ends. So
    /// stop a CPU only where it does none of these.
    ///
    /// What merely waits on its lists is not lost: the library raises another CPU's interrupt for
    /// work, which runs it.
    ///
    /// # Errors
    ///
    /// [`PresenceError::NoSuchCpu`] if there is no such CPU.
    ///
    /// # Safety
    ///
    /// 1. `cpu` executes nothing, handlers included, and will not before this call has returned,
    ///    and then only if it is started from the beginning.
    /// 2. All that it did is visible to the caller. An INIT that was delivered is enough on x86.
    /// 3. Nobody else calls this for the same CPU meanwhile.
    pub unsafe fn mark_offline(&'static self, cpu: usize) -> Result<(), PresenceError> {
        let area = self.core.cpus().get(cpu);
        let area = area.ok_or(PresenceError::NoSuchCpu { cpu: Some(cpu) })?;
        self.core.recovery.polls.abandon(cpu, || self.publish_what_was_polled());
        self.core.panic.abandon(cpu);
        area.own.abandon();
        area.presence().mark_away();
        self.leave_to_others(area, false);
        let was_sending = area.own.sending.abandon();
        area.correct_sends_account(self.core.cpus());
        if was_sending {
            self.ring_for_dead_sender();
        }
        self.end_all_storms(cpu, area);
        // It may have made the debt, or taken it and not polled.
        let _ = self.on_this_cpu(|cpu, area| self.take_debt_over(cpu, area));
        self.interrupt_another_for_what_is_left(cpu);
        Ok(())
    }

    /// Whether `cpu` is online, and not offline or not started yet; `None` if there is no such CPU.
    /// **NMI-safe.** About another CPU, the answer may be a moment old.
    pub fn is_online(&self, cpu: usize) -> Option<bool> {
        self.core.cpus().get(cpu).map(|area| !area.presence().is_away())
    }

    /// Leaves to the others what waits for a CPU that has just been taken offline, the debt too, if
    /// that CPU made it. The fence has its partner in `Nmi::notify_cpu`: either this CPU sees the
    /// item that a producer put there, or the producer sees the CPU offline. So has it in
    /// `SendWord::begin`, for sends; and in `Nmi::interrupt_another_for_what_is_left`.
    fn leave_to_others(&self, area: &PerCpu, made_the_debt: bool) {
        fence(Ordering::SeqCst);
        if area.work.has_items() || made_the_debt {
            self.core.mark_something_left();
        }
    }

    /// Leaves a debt to the others that this CPU has made while it is offline.
    #[cold]
    pub(crate) fn leave_debt_to_others(&self, this_cpu: usize) {
        self.core.mark_something_left();
        self.interrupt_another_for_what_is_left(this_cpu);
    }

    /// Has an online CPU look at what the CPUs that are offline have left: no tick need come. If it
    /// goes offline before it has looked, it interrupts another. Without one it waits for the first
    /// CPU that comes online and ticks.
    ///
    /// The fence has its partner in `Nmi::leave_to_others`: this CPU sees that the other one has
    /// gone, or the other one sees what is left, and interrupts another.
    fn interrupt_another_for_what_is_left(&self, this_cpu: usize) {
        if self.core.something_is_left() {
            fence(Ordering::SeqCst);
            let mut others = self.core.cpus().iter().enumerate();
            let online = others.find(|(cpu, area)| *cpu != this_cpu && !area.presence().is_away());
            if let Some((cpu, _)) = online {
                self.platform.interrupt_for_work(cpu);
            }
        }
    }
}

/// The library did not take a CPU offline or bring it online; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceError {
    /// The CPU is in an NMI, or was stopped inside one and no CPU has marked it offline.
    InDispatch(InDispatch),
    /// There is no such CPU.
    NoSuchCpu {
        /// Its number; `None` if the calling CPU has none yet.
        cpu: Option<usize>,
    },
}

impl fmt::Display for PresenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(InDispatch { cpu }) => write!(
                f,
                "CPU {cpu} is in an NMI, or was stopped in one and not marked: go and come in \
                 ordinary context, and call mark_offline before a stopped CPU starts again"
            ),
            Self::NoSuchCpu { cpu: Some(cpu) } => write!(f, "there is no CPU {cpu}"),
            Self::NoSuchCpu { cpu: None } => f.write_str("this CPU has no number yet"),
        }
    }
}

impl Error for PresenceError {}
