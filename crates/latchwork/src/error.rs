// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can go wrong, and what to do about it.

use core::{error::Error, fmt};

use crate::{
    handler::{Class, Doorbell},
    name::Name,
    registration::Registration,
    request::Request,
};

/// [`Nmi::init`](crate::Nmi::init) was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitError {
    /// It has succeeded before; the first slice stays in use.
    AlreadyInitialised,
    /// Another call is under way, on another CPU or underneath this one. If that one fails, this
    /// one may succeed later.
    UnderWay,
    /// An area belongs to another subsystem, or another subsystem's `init` has just claimed it. Two
    /// subsystems on one area would undo each other's bookkeeping, and a removal could return while
    /// its handler runs.
    AreaTaken {
        /// The first such area, as an index into the slice that was given.
        index: usize,
    },
    /// The slice is empty.
    NoCpus,
    /// The slice is longer than [`MAX_CPUS`](crate::MAX_CPUS).
    TooManyCpus {
        /// How many were given.
        given: usize,
    },
}

/// [`Nmi::set_limits`](crate::Nmi::set_limits) was refused; the limits in force stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsError {
    /// See [`InDispatch`]. Set them from ordinary context.
    InDispatch(InDispatch),
    /// A limit is 0: that would be no time at all, or a storm without an NMI.
    Zero {
        /// The field of [`Limits`](crate::Limits).
        field: &'static str,
    },
    /// `late_us` is more than `cap_us`.
    LateBeyondCap,
    /// `hold_us` is more than `cap_us`: a send would hold grants for longer than any may last.
    HoldBeyondCap,
    /// The rings of a registered handler come later than `cap_us` would let grants last.
    CapBelowHandler {
        /// The handler.
        handler: Name,
        /// How late its rings come, in microseconds.
        late_us: u32,
    },
    /// `overdue_us` is less than two tick periods, so that NMIs would do the tick's work.
    OverdueTooSoon,
    /// With this platform's clock the longest of the limits is too long for a machine word.
    TooLong {
        /// It, in microseconds.
        longest_us: u32,
    },
}

/// An [edge model](crate::EdgeModel) was refused, since grants could not keep to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EdgesError {
    /// More late edges than a CPU can be granted at a time.
    TooManyLateEdges {
        /// How many were named. [`EdgeModel::MOST_LATE_EDGES`](crate::EdgeModel::MOST_LATE_EDGES)
        /// is the most.
        given: u8,
    },
    /// The rings are said to come later than any grant lasts. Name less, or raise
    /// [`Limits::cap_us`](crate::Limits::cap_us) before.
    LateBeyondCap {
        /// How late, in microseconds.
        late_us: u32,
        /// The cap in force, in microseconds.
        cap_us: u32,
    },
    /// Claims of this class, or behind this doorbell, grant nothing: name
    /// [`PerCondition`](crate::EdgeModel::PerCondition).
    NeverGranted {
        /// The class.
        class: Class,
        /// The doorbell.
        doorbell: Doorbell,
    },
}

/// A change of what a handler's doorbell is like was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// See [`InDispatch`]. Change it from ordinary context.
    InDispatch(InDispatch),
    /// The handler is gone, or the handle is another subsystem's.
    Stale,
    /// See [`EdgesError`].
    Edges(EdgesError),
    /// The handler is not of class Platform, so its edges are not routed.
    NotPlatform(Class),
    /// The route names a CPU that [`Nmi::init`](crate::Nmi::init) gave no area.
    NoSuchCpu {
        /// The number that was given.
        cpu: usize,
    },
}

/// The calling CPU is in an NMI, or inside dispatch, and what it asked for would wait for itself.
/// An [`Nmi`](crate::Nmi) knows of those that it dispatches itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InDispatch {
    /// That CPU.
    pub cpu: usize,
}

/// A CPU was not taken offline or brought online; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceError {
    /// The CPU is in an NMI, or was stopped inside one and not marked.
    InDispatch(InDispatch),
    /// There is no such CPU.
    NoSuchCpu {
        /// Its number; `None` if the calling CPU has none yet.
        cpu: Option<usize>,
    },
}

/// A registration was refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// [`Nmi::init`](crate::Nmi::init) has not been called.
    NotInitialised,
    /// See [`InDispatch`]. Register from ordinary context.
    InDispatch(InDispatch),
    /// The name is empty or longer than [`Name::MAX_BYTES`](crate::Name::MAX_BYTES).
    BadName {
        /// Its length, in bytes.
        len_bytes: usize,
    },
    /// Every slot of the class is taken.
    ClassFull {
        /// The class.
        class: Class,
        /// How many of its slots wait for quiescence after a `try_remove`: when some do, trying again
        /// helps.
        draining: usize,
    },
    /// A handler behind the same doorbell named another edge model. The model belongs to the
    /// doorbell, so both must name the same.
    EdgeModelConflict {
        /// The doorbell.
        doorbell: Doorbell,
        /// The handler that is there already.
        with: Name,
        /// That handler waits for quiescence after a `try_remove`: trying again helps.
        draining: bool,
    },
    /// See [`EdgesError`].
    Edges(EdgesError),
    /// This pinned handler is registered already.
    AlreadyRegistered,
    /// The [delivery](crate::HandlerSpec::delivery) names a CPU that [`Nmi::init`](crate::Nmi::init) gave
    /// no area.
    NoSuchCpu {
        /// The number that was given.
        cpu: usize,
    },
}

/// Why a removal did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoveFailure {
    /// See [`InDispatch`]. From an NMI use [`Registration::try_remove`].
    InDispatch(InDispatch),
    /// The deadline passed while a CPU was still in a dispatch that may have reached the handler.
    StillRunning {
        /// The handler that was to be removed.
        handler: Name,
        /// The CPU that was waited for.
        cpu: usize,
        /// How long, in milliseconds.
        waited_ms: u64,
    },
}

/// A removal that did not happen, with the registration, which is whole: the handler is asked as
/// before.
#[derive(Debug)]
#[must_use = "dropping the registration removes the handler, waiting without bound"]
pub struct RemoveError {
    /// The registration, to keep or to try again with.
    pub registration: Registration,
    /// What stood in the way.
    pub failure: RemoveFailure,
}

/// A handle no longer names a handler, or not one that may be taken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// The handler that the handle named is gone, or the handle is another subsystem's.
    Stale,
    /// A [`Registration`] owns the handler.
    Guarded,
    /// See [`InDispatch`].
    InDispatch(InDispatch),
}

/// No statistics under this handle or for this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsError {
    /// The handler that the handle named is gone, and its statistics with it; or the handle is
    /// another subsystem's.
    Stale,
    /// There is no such CPU.
    NoSuchCpu {
        /// The number that was asked for.
        cpu: usize,
    },
}

/// The platform could not ring a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// It does not know how to reach it, for instance because it never came up.
    Unreachable,
    /// The interrupt controller stayed busy for longer than it ever should.
    Busy,
}

/// A software NMI was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// [`Nmi::init`](crate::Nmi::init) has not been called.
    NotInitialised,
    /// There is no such CPU.
    NoSuchCpu {
        /// The number that was asked for.
        cpu: usize,
    },
    /// That CPU is [offline](crate::Nmi::go_offline). Nothing was sent.
    Offline {
        /// That CPU.
        cpu: usize,
    },
    /// The request may be sent to the sending CPU only.
    ToSelfOnly(Request),
    /// So many requests of this kind wait for that CPU that one more says nothing new. Nothing was
    /// sent.
    Saturated(Request),
    /// The request is pending, but its NMI was not sent. The next NMI of that CPU takes it.
    NotRung(RingError),
}

/// An item was not queued; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// [`Nmi::init`](crate::Nmi::init) has not been called.
    NotInitialised,
    /// There is no such CPU.
    NoSuchCpu {
        /// Its number; `None` if the calling CPU has none yet.
        cpu: Option<usize>,
    },
    /// That CPU is [offline](crate::Nmi::go_offline).
    Offline {
        /// That CPU.
        cpu: usize,
    },
    /// Another subsystem queued the item before, and it belongs to that one. Make an item for each.
    OtherSubsystem,
}

/// Nobody waited for an item: this CPU may be the one that has to run it, or it is another
/// subsystem's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncError {
    /// See [`InDispatch`].
    InDispatch(InDispatch),
    /// The caller is the item.
    InsideItself {
        /// The CPU that runs it.
        cpu: usize,
    },
    /// Interrupts are off on the calling CPU, or it is running another item.
    InterruptsOff {
        /// That CPU.
        cpu: usize,
    },
    /// The item belongs to another subsystem, whose `sync_work` knows where it runs.
    OtherSubsystem,
}

/// Why the kernel cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fatal {
    /// A pinned handler was dropped in an NMI or inside dispatch, where nobody can wait until it is
    /// no longer in use. Drop it in ordinary context.
    PinnedDroppedInDispatch {
        /// The CPU on which that happened.
        cpu: usize,
    },
}

const STALE: &str = "stale handle: its handler was removed, or is another subsystem's";

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInitialised => f.write_str("init was called before: call it once"),
            Self::UnderWay => f.write_str("another call of init is under way: call it once"),
            Self::AreaTaken { index } => write!(
                f,
                "the per-CPU area at index {index} belongs to another subsystem: give each its own"
            ),
            Self::NoCpus => f.write_str("the slice of per-CPU areas is empty: give one per CPU"),
            Self::TooManyCpus { given } => {
                write!(f, "{given} CPUs were given, at most {} are served", crate::MAX_CPUS)
            }
        }
    }
}

impl fmt::Display for InDispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {} is in an NMI and would wait for itself", self.cpu)
    }
}

impl fmt::Display for PresenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(InDispatch { cpu }) => write!(
                f,
                "CPU {cpu} is in an NMI, or was stopped in one and not marked: go and come in ordinary \
                 context, and call mark_offline before a stopped CPU starts again"
            ),
            Self::NoSuchCpu { cpu: Some(cpu) } => write!(f, "there is no CPU {cpu}"),
            Self::NoSuchCpu { cpu: None } => f.write_str("this CPU has no number yet"),
        }
    }
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: set limits from ordinary context"),
            Self::Zero { field } => write!(f, "{field} is 0: give at least 1"),
            Self::LateBeyondCap => {
                f.write_str("late_us is more than cap_us, which ends all grants")
            }
            Self::HoldBeyondCap => {
                f.write_str("hold_us is more than cap_us, the longest that a grant may last")
            }
            Self::CapBelowHandler { handler, late_us } => write!(
                f,
                "cap_us would end grants before the {late_us} us that handler \"{handler}\" named"
            ),
            Self::OverdueTooSoon => f.write_str("overdue_us must be at least two tick periods"),
            Self::TooLong { longest_us } => {
                write!(f, "{longest_us} us are too many ticks for a machine word")
            }
        }
    }
}

impl fmt::Display for EdgesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLateEdges { given } => write!(
                f,
                "{given} late edges were named, at most {} are granted",
                crate::EdgeModel::MOST_LATE_EDGES
            ),
            Self::LateBeyondCap { late_us, cap_us } => write!(
                f,
                "rings that come after {late_us} us are explained by no grant: each ends after \
                 {cap_us} us"
            ),
            Self::NeverGranted { class, doorbell } => write!(
                f,
                "claims of class {class:?} behind {doorbell:?} grant nothing: name PerCondition"
            ),
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: change it from ordinary context"),
            Self::Stale => f.write_str(STALE),
            Self::Edges(error) => error.fmt(f),
            Self::NotPlatform(class) => {
                write!(f, "handlers of class {class:?} have no route: only Platform ones do")
            }
            Self::NoSuchCpu { cpu } => write!(f, "the route names CPU {cpu}, which does not exist"),
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised: call init first"),
            Self::InDispatch(error) => write!(f, "{error}: register from ordinary context"),
            Self::BadName { len_bytes } => {
                write!(f, "the name has {len_bytes} bytes, 1 to {} are kept", Name::MAX_BYTES)
            }
            Self::ClassFull { class, draining } => {
                write!(f, "class {class:?} is full")?;
                match draining {
                    0 => f.write_str(": remove a handler first"),
                    n => write!(f, ", {n} of its slots wait for CPUs to leave NMIs: try again"),
                }
            }
            Self::EdgeModelConflict { doorbell, with, draining } => {
                write!(f, "handler \"{with}\" named another edge model for {doorbell:?}")?;
                match draining {
                    true => f.write_str(" and waits for CPUs to leave NMIs: try again"),
                    false => Ok(()),
                }
            }
            Self::Edges(error) => error.fmt(f),
            Self::AlreadyRegistered => f.write_str("this pinned handler is registered already"),
            Self::NoSuchCpu { cpu } => write!(f, "the route names CPU {cpu}, which does not exist"),
        }
    }
}

impl fmt::Display for RemoveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: use try_remove"),
            Self::StillRunning { handler, cpu, waited_ms } => write!(
                f,
                "handler \"{handler}\" was not removed: CPU {cpu} did not leave dispatch within {waited_ms} ms"
            ),
        }
    }
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str(STALE),
            Self::Guarded => f.write_str("a registration guard owns the handler: use that"),
            Self::InDispatch(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for StatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str(STALE),
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
        }
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the CPU cannot be reached",
            Self::Busy => "the interrupt controller stayed busy",
        })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised: call init first"),
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
            Self::Offline { cpu } => write!(f, "CPU {cpu} is offline"),
            Self::ToSelfOnly(request) => write!(f, "{request:?} is sent to the own CPU only"),
            Self::Saturated(request) => {
                write!(f, "too many {request:?} requests are pending there")
            }
            Self::NotRung(error) => write!(f, "the request waits for that CPU's next NMI: {error}"),
        }
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised: call init first"),
            Self::NoSuchCpu { cpu: Some(cpu) } => write!(f, "there is no CPU {cpu}"),
            Self::NoSuchCpu { cpu: None } => f.write_str("this CPU has no number yet"),
            Self::Offline { cpu } => write!(f, "CPU {cpu} is offline: queue it on another"),
            Self::OtherSubsystem => f.write_str("the item belongs to another subsystem"),
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: wait in ordinary context"),
            Self::OtherSubsystem => f.write_str("the item belongs to another subsystem"),
            Self::InsideItself { cpu } => {
                write!(f, "the item that CPU {cpu} is running would wait for its own end")
            }
            Self::InterruptsOff { cpu } => {
                write!(
                    f,
                    "CPU {cpu} has interrupts off and may have to run the item: switch them on"
                )
            }
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PinnedDroppedInDispatch { cpu } => {
                write!(f, "a pinned NMI handler was dropped on CPU {cpu} inside an NMI")
            }
        }
    }
}

impl Error for InitError {}
impl Error for InDispatch {}
impl Error for LimitsError {}
impl Error for EdgesError {}
impl Error for SpecError {}
impl Error for PresenceError {}
impl Error for RegisterError {}
impl Error for RemoveFailure {}
impl Error for RemoveError {}
impl Error for HandleError {}
impl Error for StatsError {}
impl Error for RingError {}
impl Error for SendError {}
impl Error for QueueError {}
impl Error for SyncError {}
