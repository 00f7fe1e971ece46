// SPDX-License-Identifier: MIT OR Apache-2.0
//! FreeBSD's list of NMI handlers, of commit 459dc427873c (2024): a list of function pointers,
//! newest first.
//!
//! * An element has a count of the calls in progress. The dispatcher reads the pointer, then
//!   counts, then calls.
//! * A remover clears the pointer, by a plain store, and waits until the count is 0. Elements stay
//!   in the list, and later registrations fill them again.
//! * Linking, filling and counting are locked instructions; all other accesses are plain. A
//!   registration links a new element with release, and dispatchers find it with acquire.
//!
//! The model leaves out the assertion that a handler is not registered twice, and the panic at the
//! removal of one that is not registered. Elements come from a fixed array instead of `malloc`.

use std::cell::Cell;

use latchwork::simulation::{AtomicUsize, Ordering};

use super::drivers::note;
use crate::engine::{self, Fingerprint};

/// How many elements there are.
const ELEMENTS: usize = 8;

/// `nmi_handlers_head`, and what it leads to.
pub(super) struct HandlerList {
    /// The first element's number and 1; 0 is the list's end.
    head: AtomicUsize,
    elements: [Element; ELEMENTS],
    allocated: Cell<usize>,
}

/// `struct nmi_handler`. Any CPU reads and writes any of it.
pub(super) struct Element {
    running: AtomicUsize,
    function: AtomicUsize,
    next: AtomicUsize,
}

impl HandlerList {
    /// An empty one.
    pub(super) const fn new() -> Self {
        let elements = [const {
            Element {
                running: AtomicUsize::new(0),
                function: AtomicUsize::new(0),
                next: AtomicUsize::new(0),
            }
        }; ELEMENTS];
        Self { head: AtomicUsize::new(0), elements, allocated: Cell::new(0) }
    }

    /// The elements, each of which the iterator looks up when it comes to it.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Element> {
        let mut link = &self.head;
        std::iter::from_fn(move || {
            let element = self.elements.get(link.load(Ordering::Acquire).wrapping_sub(1))?;
            link = &element.next;
            Some(element)
        })
    }

    /// `nmi_register_handler`.
    pub(super) fn register(&self, pointer: usize) {
        if !self.elements().any(|element| element.is_filled_with(pointer)) {
            self.link_new(pointer);
        }
    }

    fn link_new(&self, pointer: usize) {
        let number = self.allocated.replace(self.allocated.get() + 1);
        let new = &self.elements[number];
        new.function.store(pointer, Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            new.next.store(head, Ordering::Relaxed);
            let linked =
                self.head.compare_exchange(head, number + 1, Ordering::Release, Ordering::Relaxed);
            match linked {
                Ok(_) => return,
                Err(other) => head = other,
            }
        }
    }

    /// `nmi_remove_handler`.
    pub(super) fn remove(&self, pointer: usize) {
        if let Some(element) = self.elements().find(|element| element.pointer() == pointer) {
            element.function.store(0, Ordering::Relaxed);
            note(|| "clears the pointer".to_owned());
            while element.running.load(Ordering::Relaxed) != 0 {
                engine::relax();
            }
            note(|| "sees no call in progress".to_owned());
        }
    }

    /// Takes in what is not in simulated atomics.
    pub(super) fn fold(&self, fingerprint: &mut Fingerprint) {
        fingerprint.fold(self.allocated.get() as u64);
    }
}

impl Element {
    /// The function; 0 if there is none.
    pub(super) fn pointer(&self) -> usize {
        self.function.load(Ordering::Relaxed)
    }

    /// Counts a call while it is in progress.
    pub(super) fn run<R>(&self, call: impl FnOnce() -> R) -> R {
        self.running.fetch_add(1, Ordering::Relaxed);
        let returned = call();
        self.running.fetch_sub(1, Ordering::Relaxed);
        returned
    }

    /// Fills it if it is empty. Returns whether it did.
    fn is_filled_with(&self, pointer: usize) -> bool {
        let is_filled = self.pointer() == 0
            && self
                .function
                .compare_exchange(0, pointer, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_filled {
            self.running.store(0, Ordering::Relaxed);
        }
        is_filled
    }
}
