// SPDX-License-Identifier: MIT OR Apache-2.0
//! Facts: what happens on the machine, as an all-knowing observer sees it. Monitors judge
//! properties by them; policies never see them.

use std::fmt;

use super::{Bell, Edge};
use crate::engine::{Fingerprint, Violation};

/// A condition at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// This overflow bit of this CPU's counters.
    Counter {
        /// Whose.
        cpu: usize,
        /// Which.
        bit: u8,
    },
    /// This status bit of port 0x61.
    Port61(u8),
    /// The status of this external device.
    External(u8),
}

impl Condition {
    /// The doorbell behind which it is.
    pub fn bell(self) -> Bell {
        match self {
            Self::Counter { .. } => Bell::Lvt,
            Self::Port61(_) => Bell::Port61,
            Self::External(index) => Bell::External(index),
        }
    }

    /// Whether it belongs to the machine, not to one CPU.
    pub fn is_machine_wide(self) -> bool {
        !matches!(self, Self::Counter { .. })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter { cpu, bit } => write!(f, "overflow {bit:#x} of CPU {cpu}"),
            Self::Port61(bit) => write!(f, "port 0x61 bit {bit:#x}"),
            Self::External(index) => write!(f, "external {index}"),
        }
    }
}

/// How a policy's handling of one NMI ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Something was claimed, or so the policy says.
    Claimed,
    /// Nothing was claimed, and the policy took the edge for an orphan.
    Absorbed,
    /// The policy does not know yet, since another CPU is polling.
    Deferred,
    /// Nothing explains it. Its report is a fact of its own.
    Unknown,
    /// The CPU is offline.
    TurnedAway,
}

/// What a policy reports about an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reported {
    /// Nothing explains it.
    Unknown,
    /// Only a send that stayed unfinished too long may explain it.
    LateSend,
    /// This CPU has absorbed edges for suspiciously long.
    Absorbed,
}

/// The CPUs of a set, by bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuSet(pub u64);

impl CpuSet {
    /// Whether it is in the set. CPUs from 64 on are in none.
    pub fn has(self, cpu: usize) -> bool {
        cpu < 64 && self.0 >> cpu & 1 != 0
    }

    /// Puts it into the set.
    pub fn add(&mut self, cpu: usize) {
        if cpu < 64 {
            self.0 |= 1 << cpu;
        }
    }

    /// Takes it out of the set.
    pub fn remove(&mut self, cpu: usize) {
        if cpu < 64 {
            self.0 &= !(1 << cpu);
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Time has passed.
    Passed {
        /// So many microseconds.
        by_us: u64,
        /// CPUs that could take no NMI, or were slow to take one, meanwhile.
        deaf: CpuSet,
        /// CPUs that are online and could take their tick, or any other maskable interrupt,
        /// meanwhile.
        attentive: CpuSet,
        /// Of these, those whose tick runs.
        ticking: CpuSet,
        /// Some CPU was executing instructions, which took that time.
        busy: bool,
    },
    /// A condition is set that was not.
    Set(Condition),
    /// Software has acknowledged a condition: this CPU, in an NMI or not.
    Consumed {
        /// Which.
        condition: Condition,
        /// Who did.
        cpu: usize,
    },
    /// A CPU begins to claim a condition outside NMIs: from here on this explains its doorbell's
    /// ring.
    ClaimsOutside {
        /// What rings for it.
        bell: Bell,
        /// Who does.
        cpu: usize,
    },
    /// The CPU has claimed the condition, if that was still set.
    ClaimedOutside {
        /// Who did.
        cpu: usize,
    },
    /// Software has acknowledged what it had seen set, and other code had done so since. Both
    /// believe that they have claimed it.
    FoundClear {
        /// What rings for it.
        bell: Bell,
        /// Who did.
        cpu: usize,
    },
    /// A source without status rang.
    Pressed,
    /// An NMI was taken.
    Taken {
        /// By whom.
        cpu: usize,
        /// Its number on this CPU.
        serial: usize,
        /// What rang.
        edge: Edge,
    },
    /// Its handling has ended.
    Ended {
        /// On this CPU.
        cpu: usize,
        /// Its number on this CPU.
        serial: usize,
        /// How.
        ending: Ending,
        /// How many accesses it made, those of what interrupted it not counted.
        accesses: usize,
    },
    /// A report was made.
    Report {
        /// About an NMI of this CPU.
        cpu: usize,
        /// That one.
        serial: usize,
        /// As what.
        reported: Reported,
    },
    /// At the end of a CPU's tick, the policy says that `edges` deferred edges are not settled.
    Unsettled {
        /// Whose.
        cpu: usize,
        /// How many.
        edges: usize,
    },
    /// A send was accepted: from now on its target can take the request.
    SendBegan {
        /// To whom.
        to: usize,
    },
    /// The ring of a send was made.
    SendRang {
        /// To whom.
        to: usize,
    },
    /// A send is over, well or not.
    SendEnded {
        /// To whom.
        to: usize,
        /// Its request counts.
        accepted: bool,
    },
    /// The send that is under way was refused, since it did not ring. Its request may be taken all
    /// the same.
    SendLeft {
        /// To whom.
        to: usize,
    },
    /// The send that has just begun asks its target to park.
    AsksToPark {
        /// Whom.
        to: usize,
    },
    /// A CPU parks.
    Parks {
        /// Which.
        cpu: usize,
        /// It is in an NMI.
        in_nmi: bool,
    },
    /// The kernel was told that a storm has begun on this CPU.
    StormBegan(usize),
    /// It was told that it is over.
    StormEnded(usize),
    /// Requests were taken and served.
    Served {
        /// By whom.
        cpu: usize,
        /// So many sends.
        sends: usize,
        /// How many of these the scenario asked for. The others are the policy's own.
        asked: usize,
    },
    /// Requests were dropped, because the CPU was offline.
    Dropped {
        /// By whom.
        cpu: usize,
        /// So many sends.
        sends: usize,
    },
    /// From now on the policy asks a handler for that doorbell, whose route is open.
    Attended(Bell),
    /// The removal of that doorbell's handler has begun: nothing relies on the handler any more.
    Leaving(Bell),
    /// A removal of that doorbell's handler has returned.
    Removed(Bell),
    /// That doorbell's handler was called.
    Called(Bell),
    /// That call has returned.
    Returned(Bell),
    /// A CPU is about to queue an item.
    QueueBegan(usize),
    /// The queueing has returned.
    QueueEnded {
        /// Which item.
        item: usize,
        /// It was queued for a run of its own.
        anew: bool,
    },
    /// An item runs.
    Ran(usize),
    /// A CPU's tick begins.
    Ticked(usize),
    /// A CPU's tick is over.
    TickEnded(usize),
    /// A CPU, with interrupts off, says that it is about to idle.
    EntersIdle(usize),
    /// It has said so.
    EnteredIdle(usize),
    /// A CPU has gone offline.
    WentOffline(usize),
    /// It is back.
    CameOnline(usize),
    /// A CPU hangs.
    Hung(usize),
    /// The clock of a CPU has stepped.
    ClockStepped(usize),
}

/// Watches the machine and judges.
pub trait Witness {
    /// Takes in a fact, at that time of the world's clock.
    fn note(&mut self, at_us: u64, fact: &Fact);
    /// The violation found so far.
    fn violation(&self) -> Option<Violation>;
    /// The violation, if nothing happens any more.
    fn finish(&self) -> Option<Violation>;
    /// Takes what it remembers into the fingerprint.
    fn fold(&self, fingerprint: &mut Fingerprint);
}
