// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a sequence consists of.

use core::fmt;

/// A source of events with a condition and a handler. Its handler looks at the condition, and
/// claims and clears it if it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// Each CPU's own, one ring a condition.
    Local,
    /// Each CPU's own, whose status may stand for two rings.
    LocalMany,
    /// The machine's, one ring a condition, to all CPUs.
    Wide,
    /// The machine's, whose status may stand for two rings, to the last CPU.
    WideMany,
}

impl Source {
    /// All, in the order in which handlers are registered.
    pub const ALL: [Self; 4] = [Self::Local, Self::LocalMany, Self::Wide, Self::WideMany];

    /// What handlers and logs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "L1",
            Self::LocalMany => "L2",
            Self::Wide => "P1",
            Self::WideMany => "P2",
        }
    }

    /// Each CPU has its own.
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Local | Self::LocalMany)
    }

    /// One status may stand for two rings.
    #[must_use]
    pub const fn may_merge(self) -> bool {
        matches!(self, Self::LocalMany | Self::WideMany)
    }

    /// Whether it rings `cpu` on a machine of `cpus` when its condition is set, by an event of CPU
    /// `of`'s if it is local.
    #[must_use]
    pub const fn rings(self, cpu: usize, of: usize, cpus: usize) -> bool {
        match self {
            Self::Local | Self::LocalMany => cpu == of,
            Self::Wide => true,
            Self::WideMany => cpu + 1 == cpus,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Sends that CPU a request by the library, which rings it.
    Send(usize),
    /// Rings that CPU with nothing behind it.
    Ring(usize),
    /// Sets the condition of a source, on that CPU if it is local, and does not ring.
    Set(Source, usize),
    /// The same, and its doorbell rings.
    Raise(Source, usize),
    /// Tells the library that a poll is owed.
    Owe,
    /// Lets [`PAUSE_US`](crate::time::PAUSE_US) pass: a handler with NMIs blocked, a thread with
    /// interrupts let in.
    Pause,
    /// Threads: [`LONG_US`](crate::time::LONG_US) pass.
    Outlive,
    /// Threads: claims the source's condition outside NMIs.
    Claim(Source),
    /// Threads: this CPU's tick.
    Tick,
    /// Threads: this CPU is about to idle.
    Idle,
    /// Handlers, not of CPU 0: stays here until CPU 0 releases it, so that its CPU takes no NMI.
    Stay,
    /// Thread of CPU 0: releases CPU 1, if it stays.
    Release,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(to) => write!(f, "sends to {to}"),
            Self::Ring(to) => write!(f, "rings {to}"),
            Self::Set(source, cpu) => write!(f, "sets {source} of {cpu}"),
            Self::Raise(source, cpu) => write!(f, "raises {source} of {cpu}"),
            Self::Owe => f.write_str("owes a poll"),
            Self::Pause => f.write_str("pauses"),
            Self::Outlive => f.write_str("outlives all"),
            Self::Claim(source) => write!(f, "claims {source} by itself"),
            Self::Tick => f.write_str("ticks"),
            Self::Idle => f.write_str("idles"),
            Self::Stay => f.write_str("stays"),
            Self::Release => f.write_str("releases"),
        }
    }
}

/// When a step comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// By a thread, in turn.
    Thread,
    /// When the library asks this source's handler for the n-th time on this CPU, counted from 1,
    /// in an NMI or a poll, or a claim outside NMIs does: before it reads the condition, or after
    /// it has cleared what it found.
    Asked {
        /// Whose.
        source: Source,
        /// The n of the n-th time.
        nth: u8,
        /// Whether it comes after the handler has read the condition.
        after: bool,
    },
}

/// Where a step comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// On which CPU.
    pub cpu: usize,
    /// When.
    pub at: At,
}

/// A step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub place: Place,
    /// What.
    pub deed: Deed,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { cpu, at } = self.place;
        match at {
            At::Thread => write!(f, "{cpu} {}", self.deed),
            At::Asked { source, nth, after } => {
                let stage = if after { "after" } else { "before" };
                write!(f, "{cpu} {stage} {source}'s look {nth}: {}", self.deed)
            }
        }
    }
}
