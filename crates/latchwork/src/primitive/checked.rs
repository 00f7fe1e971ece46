// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend of this crate's own tests.
//!
//! Every access first passes [`interrupt::point`], where a test can nest a whole NMI, and then goes
//! to `core` or to loom. So one test body shows both: what other CPUs may see (loom), and what an
//! NMI on the same CPU does between any two accesses (the points), which loom cannot express.

#[cfg(not(loom))]
use core::{
    cell,
    sync::atomic::{self as inner, Ordering},
};
#[cfg(loom)]
use loom::{
    cell,
    sync::atomic::{self as inner, Ordering},
};

pub(crate) fn fence(order: Ordering) {
    interrupt::point();
    inner::fence(order);
}

/// Never weaker than a fence here: the point of the x86 shortcut is that it costs nothing, not
/// that it orders less.
pub(crate) fn fence_after_rmw() {
    fence(Ordering::SeqCst);
}

macro_rules! checked_atomic {
    ($name:ident($value:ty)) => {
        #[derive(Debug)]
        pub(crate) struct $name(inner::$name);

        impl $name {
            crate::primitive::const_unless_loom! {
                pub(crate) fn new(value: $value) -> Self { Self(inner::$name::new(value)) }
            }
            pub(crate) fn load(&self, order: Ordering) -> $value {
                interrupt::point();
                self.0.load(order)
            }
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                interrupt::point();
                self.0.store(value, order);
            }
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                interrupt::point();
                self.0.swap(value, order)
            }
        }
    };
}

checked_atomic!(AtomicBool(bool));
checked_atomic!(AtomicUsize(usize));

impl AtomicBool {
    pub(crate) fn compare_exchange(
        &self,
        current: bool,
        new: bool,
        success: Ordering,
        failure: Ordering,
    ) -> Result<bool, bool> {
        interrupt::point();
        self.0.compare_exchange(current, new, success, failure)
    }
}

impl AtomicUsize {
    pub(crate) fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        interrupt::point();
        self.0.compare_exchange(current, new, success, failure)
    }
    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        interrupt::point();
        self.0.fetch_add(value, order)
    }
    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        interrupt::point();
        self.0.fetch_sub(value, order)
    }
    pub(crate) fn fetch_and(&self, value: usize, order: Ordering) -> usize {
        interrupt::point();
        self.0.fetch_and(value, order)
    }
    pub(crate) fn fetch_or(&self, value: usize, order: Ordering) -> usize {
        interrupt::point();
        self.0.fetch_or(value, order)
    }
}

/// A word that only its own CPU touches, in NMIs too. An NMI may come before each access; other
/// CPUs see none of them, so loom is spared them.
#[derive(Debug)]
pub(crate) struct OwnWord(core::sync::atomic::AtomicUsize);

impl OwnWord {
    pub(crate) const fn new(value: usize) -> Self {
        Self(core::sync::atomic::AtomicUsize::new(value))
    }
    pub(crate) fn load(&self, order: Ordering) -> usize {
        interrupt::point();
        self.0.load(order)
    }
    pub(crate) fn store(&self, value: usize, order: Ordering) {
        interrupt::point();
        self.0.store(value, order);
    }
    pub(crate) fn swap(&self, value: usize, order: Ordering) -> usize {
        interrupt::point();
        self.0.swap(value, order)
    }
    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        interrupt::point();
        self.0.fetch_add(value, order)
    }
    pub(crate) fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        interrupt::point();
        self.0.compare_exchange(current, new, success, failure)
    }
}

#[derive(Debug)]
pub(crate) struct AtomicPtr<T>(inner::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    crate::primitive::const_unless_loom! {
        pub(crate) fn new(value: *mut T) -> Self { Self(inner::AtomicPtr::new(value)) }
    }
    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        interrupt::point();
        self.0.load(order)
    }
    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        interrupt::point();
        self.0.store(value, order);
    }
    pub(crate) fn swap(&self, value: *mut T, order: Ordering) -> *mut T {
        interrupt::point();
        self.0.swap(value, order)
    }
    pub(crate) fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        interrupt::point();
        self.0.compare_exchange(current, new, success, failure)
    }
}

#[derive(Debug)]
pub(crate) struct SharedCell<T>(cell::UnsafeCell<T>);

impl<T> SharedCell<T> {
    crate::primitive::const_unless_loom! {
        pub(crate) fn new(value: T) -> Self { Self(cell::UnsafeCell::new(value)) }
    }
    #[cfg(loom)]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        self.0.with(read)
    }
    #[cfg(loom)]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(write)
    }
    #[cfg(not(loom))]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }
    #[cfg(not(loom))]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Where a test lets an NMI in.
pub(crate) mod interrupt {
    use core::cell::{Cell, RefCell};
    use std::boxed::Box;

    #[cfg(loom)]
    use loom::thread_local;
    #[cfg(not(loom))]
    use std::thread_local;

    struct Armed {
        accesses_before: usize,
        nmi: Box<dyn FnOnce()>,
    }

    thread_local! {
        static ARMED: RefCell<Option<Armed>> = RefCell::default();
        static INSIDE: Cell<bool> = Cell::default();
    }

    /// Whether this thread is in the NMI that was let in. Whatever waits there may wait for what
    /// the NMI interrupted.
    pub(crate) fn inside() -> bool {
        INSIDE.with(Cell::get)
    }

    /// Lets `nmi` in, once, on this thread, just before the access that `accesses_before` others
    /// precede.
    pub(crate) fn arm(accesses_before: usize, nmi: impl FnOnce() + 'static) {
        let nmi = Box::new(nmi);
        ARMED.with(|armed| *armed.borrow_mut() = Some(Armed { accesses_before, nmi }));
    }

    /// Ends the wait for the armed point. Says whether the NMI was let in.
    pub(crate) fn disarm() -> bool {
        ARMED.with(|armed| armed.borrow_mut().take()).is_none()
    }

    pub(super) fn point() {
        let due = ARMED.with(|armed| {
            let mut armed = armed.borrow_mut();
            match armed.as_mut() {
                Some(state) if state.accesses_before > 0 => {
                    state.accesses_before -= 1;
                    None
                }
                _ => armed.take(),
            }
        });
        if let Some(due) = due {
            INSIDE.with(|inside| inside.set(true));
            (due.nmi)();
            INSIDE.with(|inside| inside.set(false));
        }
    }
}
