// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with a registration, and what to do about it.

use core::{error::Error, fmt};

use crate::contract::{Class, Doorbell, InDispatch, Name, STALE_HANDLE};

/// The registry refused a registration; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The kernel has not called [`Nmi::init`](crate::Nmi::init).
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
        /// How many of its slots wait for quiescence after a `try_remove`. If some do, try again.
        draining: usize,
    },
    /// A handler behind the same doorbell has named another edge model. The model belongs to the
    /// doorbell, so both handlers must name the same one.
    EdgeModelConflict {
        /// The doorbell.
        doorbell: Doorbell,
        /// The handler that is there already.
        with: Name,
        /// Whether that handler waits for quiescence after a `try_remove`. If it does, try again.
        draining: bool,
    },
    /// See [`EdgesError`].
    Edges(EdgesError),
    /// The spec names a [delivery](crate::HandlerSpec::delivery), and the handler is not of class
    /// Platform, so its edges have no route.
    NotPlatform(Class),
    /// This pinned handler is registered already.
    AlreadyRegistered,
    /// The [delivery](crate::HandlerSpec::delivery) names a CPU that
    /// [`Nmi::init`](crate::Nmi::init) gave no area.
    NoSuchCpu {
        /// The number that the caller gave.
        cpu: usize,
    },
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
                    false => f.write_str(": name the same"),
                }
            }
            Self::Edges(error) => error.fmt(f),
            Self::NotPlatform(class) => {
                write!(f, "handlers of class {class:?} have no route: name no route")
            }
            Self::AlreadyRegistered => {
                f.write_str("this pinned handler is registered already: remove it first")
            }
            Self::NoSuchCpu { cpu } => NoArea(*cpu).fmt(f),
        }
    }
}

impl Error for RegisterError {}

/// Why the registry did not remove a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoveFailure {
    /// See [`InDispatch`]. From an NMI use
    /// [`Registration::try_remove`](crate::Registration::try_remove).
    InDispatch(InDispatch),
    /// The deadline passed while a CPU was still in a dispatch that may have reached the handler.
    StillRunning {
        /// The handler that the caller wanted to remove.
        handler: Name,
        /// The CPU for which the remover waited.
        cpu: usize,
        /// How long the remover waited, in milliseconds.
        waited_ms: u64,
    },
}

impl fmt::Display for RemoveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: use try_remove"),
            Self::StillRunning { handler, cpu, waited_ms } => write!(
                f,
                "handler \"{handler}\" was not removed: CPU {cpu} did not leave dispatch within \
                 {waited_ms} ms"
            ),
        }
    }
}

impl Error for RemoveFailure {}

/// [`Nmi::reclaim`](crate::Nmi::reclaim) did not turn a handle into a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// The handler that the handle named is gone, or the handle belongs to another subsystem.
    Stale,
    /// A [`Registration`](crate::Registration) owns the handler.
    Guarded,
    /// See [`InDispatch`].
    InDispatch(InDispatch),
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str(STALE_HANDLE),
            Self::Guarded => f.write_str("a registration guard owns the handler: use that"),
            Self::InDispatch(error) => error.fmt(f),
        }
    }
}

impl Error for HandleError {}

/// The registry refused an [edge model](crate::EdgeModel), since grants could not keep to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EdgesError {
    /// The model names more late edges than a CPU can be granted at a time.
    TooManyLateEdges {
        /// How many the model names.
        /// [`EdgeModel::MOST_LATE_EDGES`](crate::EdgeModel::MOST_LATE_EDGES) is the most.
        given: u8,
    },
    /// The model's rings come later than any grant lasts. Name less, or raise
    /// [`Limits::cap_us`](crate::Limits::cap_us) first.
    LateBeyondCap {
        /// How late, in microseconds.
        late_us: u32,
        /// The most, in microseconds: the cap in force, on 32-bit targets about 16.8 s at most.
        cap_us: u32,
    },
    /// Claims of this class, or behind this doorbell, grant nothing. Register with
    /// [`PerCondition`](crate::EdgeModel::PerCondition), and leave the model of a doorbell that is
    /// shared to the others.
    NeverGranted {
        /// The class.
        class: Class,
        /// The doorbell.
        doorbell: Doorbell,
    },
}

impl fmt::Display for EdgesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLateEdges { given } => write!(
                f,
                "{given} late edges were named, at most {} are granted: name fewer",
                crate::EdgeModel::MOST_LATE_EDGES
            ),
            Self::LateBeyondCap { late_us, cap_us } => write!(
                f,
                "rings that come after {late_us} us are explained by no grant, since each ends \
                 after {cap_us} us: name less, or raise cap_us first"
            ),
            Self::NeverGranted { class, doorbell } => write!(
                f,
                "claims of class {class:?} behind {doorbell:?} grant nothing: name PerCondition"
            ),
        }
    }
}

impl Error for EdgesError {}

/// The registry refused to change a handler's doorbell; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// See [`InDispatch`]. Change it from ordinary context.
    InDispatch(InDispatch),
    /// The handler is gone, or the handle belongs to another subsystem.
    Stale,
    /// See [`EdgesError`].
    Edges(EdgesError),
    /// The handler is not of class Platform, so its edges have no route.
    NotPlatform(Class),
    /// The route names a CPU that [`Nmi::init`](crate::Nmi::init) gave no area.
    NoSuchCpu {
        /// The number that the caller gave.
        cpu: usize,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: change it from ordinary context"),
            Self::Stale => f.write_str(STALE_HANDLE),
            Self::Edges(error) => error.fmt(f),
            Self::NotPlatform(class) => {
                write!(f, "handlers of class {class:?} have no route: only Platform ones do")
            }
            Self::NoSuchCpu { cpu } => NoArea(*cpu).fmt(f),
        }
    }
}

impl Error for SpecError {}

/// Says that a setting names a CPU which has no area.
struct NoArea(usize);

impl fmt::Display for NoArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no CPU {}: name those that init gave areas", self.0)
    }
}
