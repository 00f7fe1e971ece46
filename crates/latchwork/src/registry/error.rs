// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with a registration, and what to do about it.

use core::{error::Error, fmt};

use crate::contract::{Class, Doorbell, InDispatch, Name};

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
        /// How many of its slots wait for quiescence after a `try_remove`: when some do, trying
        /// again helps.
        draining: usize,
    },
    /// A handler behind the same doorbell named another edge model. The model belongs to the
    /// doorbell, so both must name the same.
    EdgeModelConflict {
        /// The doorbell.
        doorbell: Doorbell,
        /// The handler that is there already.
        with: Name,
    },
    /// This pinned handler is registered already.
    AlreadyRegistered,
    /// The [delivery](crate::HandlerSpec::delivery) names a CPU that
    /// [`Nmi::init`](crate::Nmi::init) gave no area.
    NoSuchCpu {
        /// The number that was given.
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
            Self::EdgeModelConflict { doorbell, with } => {
                write!(f, "handler \"{with}\" named another edge model for {doorbell:?}")
            }
            Self::AlreadyRegistered => f.write_str("this pinned handler is registered already"),
            Self::NoSuchCpu { cpu } => write!(f, "the route names CPU {cpu}, which does not exist"),
        }
    }
}

impl Error for RegisterError {}

/// Why a removal did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoveFailure {
    /// See [`InDispatch`]. From an NMI use
    /// [`Registration::try_remove`](crate::Registration::try_remove).
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

/// A handle no longer names a handler, or not one that may be taken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// The handler that the handle named is gone.
    Stale,
    /// A [`Registration`](crate::Registration) owns the handler.
    Guarded,
    /// See [`InDispatch`].
    InDispatch(InDispatch),
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("stale handle: its handler was removed"),
            Self::Guarded => f.write_str("a registration guard owns the handler: use that"),
            Self::InDispatch(error) => error.fmt(f),
        }
    }
}

impl Error for HandleError {}

/// A change of what a handler's doorbell is like was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// See [`InDispatch`]. Change it from ordinary context.
    InDispatch(InDispatch),
    /// The handler is gone.
    Stale,
    /// The handler is not of class Platform, so its edges are not routed.
    NotPlatform(Class),
    /// The route names a CPU that [`Nmi::init`](crate::Nmi::init) gave no area.
    NoSuchCpu {
        /// The number that was given.
        cpu: usize,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: change it from ordinary context"),
            Self::Stale => f.write_str("the handler is gone"),
            Self::NotPlatform(class) => {
                write!(f, "handlers of class {class:?} have no route: only Platform ones do")
            }
            Self::NoSuchCpu { cpu } => write!(f, "the route names CPU {cpu}, which does not exist"),
        }
    }
}

impl Error for SpecError {}
