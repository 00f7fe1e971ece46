// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's state: each module's part of it, side by side.

use crate::{
    contract::{AfterLeave, Class, HANDLERS_PER_CLASS, Requests},
    dispatch::ReportLimiter,
    grant::{Ledger, Tray},
    presence::Presence,
    primitive::{AtomicUsize, Counter, Ordering, const_unless_loom},
    read_word::ReadWord,
    recovery::{DeferredEdges, Duties},
    request::{Mailbox, SendWord, SendsAccount},
    stats::{CpuCounters, HandlerCounters, Storms},
    subsystem::Owner,
    time::Timestamp,
    work::WorkLine,
};

/// One CPU's part of the subsystem, about 3.9 KiB. The kernel hands a slice of them to
/// [`Nmi::init`](crate::Nmi::init), one for each CPU that it may ever have. Each area belongs to
/// one subsystem, for ever.
///
/// ```
/// use latchwork::PerCpu;
/// static CPUS: [PerCpu; 8] = [const { PerCpu::new() }; 8];
/// ```
#[repr(C)]
#[derive(Debug)]
pub struct PerCpu {
    pub(crate) own: OwnLine,
    pub(crate) senders: SendersLine,
    pub(crate) work: WorkLine,
    pub(crate) sends: SendsAccount,
    pub(crate) ledger: Ledger,
    pub(crate) tray: Tray,
    pub(crate) deferred: DeferredEdges,
    pub(crate) storms: Storms,
    pub(crate) duties: Duties,
    pub(crate) counters: CpuCounters,
    slots: [[HandlerCounters; HANDLERS_PER_CLASS]; Class::COUNT],
}

/// The line that only its own CPU stores to, and that every NMI touches.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct OwnLine {
    pub(crate) read: ReadWord,
    /// How many NMIs this CPU is in, parking included. Own CPU only, so program order suffices; a
    /// nested NMI leaves it as it found it.
    nmis: Counter,
    /// What is due once the depth is 0, and the mark [`KEPT`]. Own CPU only: a nested dispatch
    /// adds, the outermost one takes, unless code underneath keeps it from that.
    after_leave: AtomicUsize,
    /// Software requests taken since the beginning, the receiver's part of the request account.
    pub(crate) taken: AtomicUsize,
    /// Receivers on any CPU read it, where they took a request before it rang.
    pub(crate) sending: SendWord,
    pub(crate) limiter: ReportLimiter,
}

/// The line to which senders store, and at which they look before.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct SendersLine {
    pub(crate) mailbox: Mailbox,
    /// Its own CPU stores to it, or another CPU while that executes nothing; senders read it.
    presence: Presence,
    /// The subsystem that has this area. Two on one area would undo each other's read words, which
    /// leave by plain stores, and a removal would return while a handler runs. It is here because
    /// this line has room.
    pub(crate) owner: Owner,
}

impl PerCpu {
    const_unless_loom! {
        /// A CPU that is outside dispatch, with nothing pending and nothing counted.
        #[must_use]
        pub fn new() -> Self {
            Self {
                own: OwnLine {
                    read: ReadWord::new(),
                    nmis: Counter::new(0),
                    after_leave: AtomicUsize::new(0),
                    taken: AtomicUsize::new(0),
                    sending: SendWord::new(),
                    limiter: ReportLimiter::new(),
                },
                senders: SendersLine {
                    mailbox: Mailbox::new(),
                    presence: Presence::new(),
                    owner: Owner::nobody(),
                },
                work: WorkLine::new(),
                sends: SendsAccount::new(),
                ledger: Ledger::new(),
                tray: Tray::new(),
                deferred: DeferredEdges::new(),
                storms: Storms::new(),
                duties: Duties::new(),
                counters: CpuCounters::new(),
                slots: [const { [const { HandlerCounters::new() }; HANDLERS_PER_CLASS] };
                    Class::COUNT],
            }
        }
    }

    /// Whether this CPU is in an NMI, or inside dispatch outside one. Own CPU, pinned.
    pub(crate) fn is_in_dispatch(&self) -> bool {
        self.own.nmis_in_progress() != 0 || !self.own.read.observe().is_outside()
    }

    /// Whether edges wait to be judged, or what NMIs on top left waits to be taken. Own CPU.
    #[inline(always)]
    pub(crate) fn has_open_edges(&self) -> bool {
        !self.tray.is_empty() || self.deferred.has_waiting()
    }

    /// When the oldest edge came that waits to be judged. Own CPU, outermost.
    pub(crate) fn oldest_edge(&self) -> Option<Timestamp> {
        match (self.deferred.oldest(), self.tray.oldest()) {
            (Some(deferred), Some(on_top)) => Some(deferred.earlier_of(on_top)),
            (deferred, on_top) => deferred.or(on_top),
        }
    }

    /// When the oldest edge came that waits to be judged, or `then` if none came before. Own CPU,
    /// outermost.
    pub(crate) fn oldest_edge_or(&self, then: Timestamp) -> Timestamp {
        self.oldest_edge().map_or(then, |oldest| oldest.earlier_of(then))
    }

    /// Takes the pending software requests. Own CPU, in NMI or offline.
    #[inline(always)]
    pub(crate) fn take_requests(&self) -> Requests {
        let requests = self.senders.mailbox.take();
        if !requests.is_empty() {
            self.own.taken.fetch_add(requests.total(), Ordering::Relaxed);
        }
        requests
    }

    /// Takes the pending software requests and drops them. Own CPU, offline, in NMI or not.
    pub(crate) fn drop_requests(&self) {
        let requests = self.take_requests();
        if !requests.is_empty() {
            self.counters.record_dropped(requests.total());
        }
    }

    #[inline(always)]
    pub(crate) fn presence(&self) -> &Presence {
        &self.senders.presence
    }

    /// How many sends to this CPU have a ring that is not known to be made.
    pub(crate) fn unfinished_sends(&self) -> usize {
        self.senders.mailbox.unfinished(&self.own.taken)
    }

    #[inline(always)]
    pub(crate) fn slot_counters(&self, class: Class, slot: usize) -> Option<&HandlerCounters> {
        self.slots.get(class as usize)?.get(slot)
    }
}

/// In the word of what is due after leaving: it stays there.
const KEPT: usize = 1 << (usize::BITS - 1);

impl Default for PerCpu {
    fn default() -> Self {
        Self::new()
    }
}

impl OwnLine {
    #[inline(always)]
    pub(crate) fn nmis_in_progress(&self) -> usize {
        self.nmis.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set_nmis_in_progress(&self, nmis: usize) {
        self.nmis.store(nmis, Ordering::Relaxed);
    }

    /// Own CPU, in NMI.
    pub(crate) fn post_after_leave(&self, due: AfterLeave) {
        self.after_leave.fetch_or(due.word(), Ordering::Relaxed);
    }

    /// Ends, on another CPU while this one executes nothing, what this one was stopped in. Once
    /// this CPU has been started again it finds all of it reset, since [`Presence::mark_away`]
    /// comes after.
    pub(crate) fn abandon(&self) {
        self.read.abandon();
        self.nmis.store(0, Ordering::Relaxed);
        self.after_leave.store(0, Ordering::Relaxed);
    }

    /// Own CPU.
    pub(crate) fn has_after_leave(&self) -> bool {
        self.after_leave.load(Ordering::Relaxed) & !KEPT != 0
    }

    /// Forgets what is due: this CPU comes back from being offline.
    pub(crate) fn forget_after_leave(&self) {
        self.after_leave.store(0, Ordering::Relaxed);
    }

    /// From here on no NMI on this CPU takes what is due: this CPU holds what other CPUs wait for.
    /// Own CPU, outside dispatch, with interrupts off.
    pub(crate) fn keep_after_leave(&self) {
        self.after_leave.fetch_or(KEPT, Ordering::Relaxed);
    }

    /// Ends that. Returns whether something is due.
    pub(crate) fn release_after_leave(&self) -> bool {
        self.after_leave.fetch_and(!KEPT, Ordering::Relaxed) & !KEPT != 0
    }

    /// Own CPU, at depth 0. An NMI on top may take it first.
    #[inline(always)]
    pub(crate) fn take_after_leave(&self) -> Option<AfterLeave> {
        match self.after_leave.load(Ordering::Relaxed) {
            0 => None,
            due if due & KEPT != 0 => None,
            _ => match self.after_leave.swap(0, Ordering::Relaxed) {
                0 => None,
                due => Some(AfterLeave::from_word(due)),
            },
        }
    }
}

#[cfg(all(test, not(loom), target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_other_writers_are_apart() {
        assert_eq!(size_of::<OwnLine>(), 64);
        assert_eq!(size_of::<SendersLine>(), 64);
        assert_eq!(size_of::<WorkLine>(), 64);
        assert_eq!(align_of::<PerCpu>(), 64);
        assert!(size_of::<PerCpu>() <= 4416, "{}", size_of::<PerCpu>());
    }
}
