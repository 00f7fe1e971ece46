// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend of the simulated machine: it hands each access to a [`Memory`].
//!
//! It exists only in the package `latchwork-simulated`, which compiles this crate's source with
//! `cfg(latchwork_simulated)`. Every atomic is one [`Word`]. An access asks this thread for its
//! [`Memory`] and leaves the rest to it; where there is none, while a world is being built, it goes
//! straight to the word.

extern crate std;

use core::{cell::UnsafeCell, fmt, marker::PhantomData, ptr};
use std::{cell::Cell, thread_local};

pub use core::sync::atomic::Ordering;

/// What a word holds. An integer is a pointer without provenance.
pub type Value = *mut ();

/// A word of simulated memory.
///
/// Simulated CPUs are coroutines of one thread, so what the word is made of orders nothing; it is
/// atomic so that it can lie in a `static`.
#[derive(Debug)]
pub struct Word(core::sync::atomic::AtomicPtr<()>);

impl Word {
    const fn new(value: Value) -> Self {
        Self(core::sync::atomic::AtomicPtr::new(value))
    }

    /// What the word holds.
    #[inline(always)]
    pub fn get(&self) -> Value {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes what the word holds.
    #[inline(always)]
    pub fn set(&self, value: Value) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A locked instruction.
#[derive(Clone, Copy, Debug)]
pub enum Update {
    /// Stores this.
    Swap(Value),
    /// Stores `new` if the word holds `current`.
    CompareExchange {
        /// What the word must hold.
        current: Value,
        /// What it then gets.
        new: Value,
    },
    /// Adds this, wrapping.
    Add(usize),
    /// Subtracts this, wrapping.
    Sub(usize),
    /// Sets these bits.
    Or(usize),
    /// Clears all other bits.
    And(usize),
}

impl Update {
    /// What the word holds afterwards.
    #[inline]
    pub fn apply(self, old: Value) -> Value {
        match self {
            Self::Swap(new) => new,
            Self::CompareExchange { current, new } => {
                if old == current {
                    new
                } else {
                    old
                }
            }
            Self::Add(operand) => integer(old.addr().wrapping_add(operand)),
            Self::Sub(operand) => integer(old.addr().wrapping_sub(operand)),
            Self::Or(operand) => integer(old.addr() | operand),
            Self::And(operand) => integer(old.addr() & operand),
        }
    }
}

/// Plays the memory of the simulated machine.
pub trait Memory {
    /// A load.
    fn load(&self, word: &Word, order: Ordering) -> Value;
    /// A store.
    fn store(&self, word: &Word, value: Value, order: Ordering);
    /// A load from a word that only this CPU touches.
    fn load_own(&self, word: &Word) -> Value;
    /// A store to such a word.
    fn store_own(&self, word: &Word, value: Value);
    /// A locked instruction on such a word.
    fn update_own(&self, word: &Word, update: Update) -> Value;
    /// A locked instruction. Returns what the word held before.
    fn update(&self, word: &Word, update: Update) -> Value;
    /// A fence that is an instruction.
    fn fence(&self, order: Ordering);
    /// The cell at this address was used and now holds what `content` shows. `shown` is the
    /// memory's own, one for each cell, at first 0: it remembers there what the cell held before.
    fn cell_used(&self, address: usize, shown: &Cell<u64>, content: &dyn fmt::Debug);
}

thread_local! {
    static MEMORY: Cell<Option<&'static dyn Memory>> = const { Cell::new(None) };
}

/// Hands this thread's accesses to `memory`, or, if `None`, straight to the words. Returns the
/// memory to which they went before.
pub fn install(memory: Option<&'static dyn Memory>) -> Option<&'static dyn Memory> {
    MEMORY.replace(memory)
}

#[inline(always)]
fn memory() -> Option<&'static dyn Memory> {
    MEMORY.get()
}

const fn integer(value: usize) -> Value {
    ptr::without_provenance_mut(value)
}

impl Word {
    #[inline]
    fn load(&self, order: Ordering) -> Value {
        match memory() {
            Some(memory) => memory.load(self, order),
            None => self.get(),
        }
    }

    #[inline]
    fn store(&self, value: Value, order: Ordering) {
        match memory() {
            Some(memory) => memory.store(self, value, order),
            None => self.set(value),
        }
    }

    #[inline]
    fn update(&self, update: Update) -> Value {
        match memory() {
            Some(memory) => memory.update(self, update),
            None => self.update_at_once(update),
        }
    }

    fn update_at_once(&self, update: Update) -> Value {
        let old = self.get();
        self.set(update.apply(old));
        old
    }

    #[inline]
    fn compare_exchange(&self, current: Value, new: Value) -> Result<Value, Value> {
        let old = self.update(Update::CompareExchange { current, new });
        if old == current { Ok(old) } else { Err(old) }
    }
}

/// A fence. Between CPUs of this machine only the full one is an instruction, which is up to the
/// memory.
pub fn fence(order: Ordering) {
    if let Some(memory) = memory() {
        memory.fence(order);
    }
}

/// Nothing, as on x86: what makes it enough, that the locked instruction before it has drained the
/// store buffer, is what the simulated memory shows.
pub(crate) fn fence_after_rmw() {}

/// A simulated `AtomicBool`.
#[derive(Debug)]
pub struct AtomicBool(Word);

impl AtomicBool {
    /// A word that holds `value`.
    #[must_use]
    pub const fn new(value: bool) -> Self {
        Self(Word::new(integer(value as usize)))
    }
    /// Loads.
    #[inline]
    pub fn load(&self, order: Ordering) -> bool {
        truth(self.0.load(order))
    }
    /// Stores.
    #[inline]
    pub fn store(&self, value: bool, order: Ordering) {
        self.0.store(integer(value as usize), order);
    }
    /// Stores and returns what was there.
    #[inline]
    pub fn swap(&self, value: bool, _: Ordering) -> bool {
        truth(self.0.update(Update::Swap(integer(value as usize))))
    }
    /// Stores `new` if `current` was there.
    ///
    /// # Errors
    ///
    /// What was there instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        current: bool,
        new: bool,
        _: Ordering,
        _: Ordering,
    ) -> Result<bool, bool> {
        let (current, new) = (integer(current as usize), integer(new as usize));
        self.0.compare_exchange(current, new).map(truth).map_err(truth)
    }
}

fn truth(value: Value) -> bool {
    value.addr() != 0
}

/// A simulated `AtomicUsize`.
#[derive(Debug)]
pub struct AtomicUsize(Word);

impl AtomicUsize {
    /// A word that holds `value`.
    #[must_use]
    pub const fn new(value: usize) -> Self {
        Self(Word::new(integer(value)))
    }
    /// Loads.
    #[inline]
    pub fn load(&self, order: Ordering) -> usize {
        self.0.load(order).addr()
    }
    /// Stores.
    #[inline]
    pub fn store(&self, value: usize, order: Ordering) {
        self.0.store(integer(value), order);
    }
    /// Stores and returns what was there.
    #[inline]
    pub fn swap(&self, value: usize, _: Ordering) -> usize {
        self.0.update(Update::Swap(integer(value))).addr()
    }
    /// Stores `new` if `current` was there.
    ///
    /// # Errors
    ///
    /// What was there instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        _: Ordering,
        _: Ordering,
    ) -> Result<usize, usize> {
        let held = self.0.compare_exchange(integer(current), integer(new));
        held.map(<*mut ()>::addr).map_err(<*mut ()>::addr)
    }
    /// Adds and returns what was there.
    #[inline]
    pub fn fetch_add(&self, value: usize, _: Ordering) -> usize {
        self.0.update(Update::Add(value)).addr()
    }
    /// Subtracts and returns what was there.
    #[inline]
    pub fn fetch_sub(&self, value: usize, _: Ordering) -> usize {
        self.0.update(Update::Sub(value)).addr()
    }
    /// Sets bits and returns what was there.
    #[inline]
    pub fn fetch_or(&self, value: usize, _: Ordering) -> usize {
        self.0.update(Update::Or(value)).addr()
    }
    /// Keeps bits and returns what was there.
    #[inline]
    pub fn fetch_and(&self, value: usize, _: Ordering) -> usize {
        self.0.update(Update::And(value)).addr()
    }
}

/// A word that only its own CPU touches, in NMIs too. An NMI may come before each access; no other
/// CPU can see when a store reaches memory.
#[derive(Debug)]
pub struct OwnWord(Word);

impl OwnWord {
    /// A word that holds `value`.
    #[must_use]
    pub const fn new(value: usize) -> Self {
        Self(Word::new(integer(value)))
    }
    /// Loads.
    #[inline]
    pub fn load(&self, _: Ordering) -> usize {
        match memory() {
            Some(memory) => memory.load_own(&self.0).addr(),
            None => self.0.get().addr(),
        }
    }
    /// Stores.
    #[inline]
    pub fn store(&self, value: usize, _: Ordering) {
        match memory() {
            Some(memory) => memory.store_own(&self.0, integer(value)),
            None => self.0.set(integer(value)),
        }
    }
    /// Stores and returns what was there.
    #[inline]
    pub fn swap(&self, value: usize, _: Ordering) -> usize {
        self.update(Update::Swap(integer(value))).addr()
    }
    /// Adds and returns what was there.
    #[inline]
    pub fn fetch_add(&self, value: usize, _: Ordering) -> usize {
        self.update(Update::Add(value)).addr()
    }
    /// Stores `new` if `current` was there.
    ///
    /// # Errors
    ///
    /// What was there instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        _: Ordering,
        _: Ordering,
    ) -> Result<usize, usize> {
        let (current, new) = (integer(current), integer(new));
        let old = self.update(Update::CompareExchange { current, new });
        if old == current { Ok(old.addr()) } else { Err(old.addr()) }
    }
    #[inline]
    fn update(&self, update: Update) -> Value {
        match memory() {
            Some(memory) => memory.update_own(&self.0, update),
            None => self.0.update_at_once(update),
        }
    }
}

/// A simulated `AtomicPtr`.
#[derive(Debug)]
pub struct AtomicPtr<T>(Word, PhantomData<core::sync::atomic::AtomicPtr<T>>);

impl<T> AtomicPtr<T> {
    /// A word that holds `value`.
    #[must_use]
    pub const fn new(value: *mut T) -> Self {
        Self(Word::new(value.cast()), PhantomData)
    }
    /// Loads.
    #[inline]
    pub fn load(&self, order: Ordering) -> *mut T {
        self.0.load(order).cast()
    }
    /// Stores.
    #[inline]
    pub fn store(&self, value: *mut T, order: Ordering) {
        self.0.store(value.cast(), order);
    }
    /// Stores and returns what was there.
    #[inline]
    pub fn swap(&self, value: *mut T, _: Ordering) -> *mut T {
        self.0.update(Update::Swap(value.cast())).cast()
    }
    /// Stores `new` if `current` was there.
    ///
    /// # Errors
    ///
    /// What was there instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        _: Ordering,
        _: Ordering,
    ) -> Result<*mut T, *mut T> {
        let held = self.0.compare_exchange(current.cast(), new.cast());
        held.map(<*mut ()>::cast).map_err(<*mut ()>::cast)
    }
}

/// A cell that one context at a time may use, by a protocol of its users. That protocol is the
/// atomics around it, so its use is no choice point; that it keeps others out, loom shows. What the
/// cell holds, as `Debug` shows it, is part of the machine's state.
#[derive(Debug)]
pub(crate) struct SharedCell<T> {
    content: UnsafeCell<T>,
    shown: Cell<u64>,
}

impl<T: fmt::Debug> SharedCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { content: UnsafeCell::new(value), shown: Cell::new(0) }
    }

    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        let Some(memory) = memory() else { return write(self.content.get()) };
        let result = write(self.content.get());
        // SAFETY: the caller's protocol lets it, and no other context, use the cell here; `write`
        // got a pointer from which no reference is left.
        let content = unsafe { &*self.content.get() };
        memory.cell_used(self.content.get().addr(), &self.shown, content);
        result
    }
}
