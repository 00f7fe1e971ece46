// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place from which the crate takes atomics, fences and shared cells.
//!
//! An adopting kernel gets `core::sync::atomic` and nothing else. The crate's own tests get the
//! `checked` backend: the same operations over `core` or, under `cfg(loom)`, over loom, and in both
//! a point *before every access* at which a test may let an NMI in. The simulated machine gets the
//! `simulated` backend, which hands each access to the `Memory` that the machine has installed.
//! Code outside this module never names a backend.

#[cfg(not(any(test, latchwork_simulated)))]
mod plain;
#[cfg(not(any(test, latchwork_simulated)))]
pub(crate) use plain::{
    AtomicBool, AtomicPtr, AtomicUsize, OwnWord, SharedCell, fence, fence_after_rmw,
};

#[cfg(test)]
pub(crate) mod checked;
#[cfg(test)]
pub(crate) use checked::{
    AtomicBool, AtomicPtr, AtomicUsize, OwnWord, SharedCell, fence, fence_after_rmw,
};

#[cfg(all(latchwork_simulated, not(test)))]
pub mod simulated;
#[cfg(all(latchwork_simulated, not(test)))]
pub(crate) use simulated::{
    AtomicBool, AtomicPtr, AtomicUsize, OwnWord, SharedCell, fence, fence_after_rmw,
};

/// Counters that take part in no protocol: statistics. No backend replaces them, because their
/// interleavings decide nothing and would only multiply the schedules to explore.
pub(crate) use core::sync::atomic::{AtomicU32 as CounterU32, AtomicUsize as Counter};

pub(crate) use core::sync::atomic::Ordering;

/// Declares a constructor that is `const`, except under loom, whose atomics cannot be. Generic
/// parameters stand in square brackets.
macro_rules! const_unless_loom {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident$([$($generics:tt)*])?($($arg:ident: $ty:ty),*) -> $ret:ty
        $body:block
    ) => {
        #[cfg(not(all(test, loom)))]
        $(#[$meta])*
        $vis const fn $name<$($($generics)*)?>($($arg: $ty),*) -> $ret $body
        #[cfg(all(test, loom))]
        $(#[$meta])*
        $vis fn $name<$($($generics)*)?>($($arg: $ty),*) -> $ret $body
    };
}

/// An array of values that are not `Copy`, in `const` context where there is one.
macro_rules! array_of {
    ($value:expr; $count:expr) => {{
        #[cfg(not(all(test, loom)))]
        let array = [const { $value }; $count];
        #[cfg(all(test, loom))]
        let array: [_; $count] = core::array::from_fn(|_| $value);
        array
    }};
}

pub(crate) use {array_of, const_unless_loom};
