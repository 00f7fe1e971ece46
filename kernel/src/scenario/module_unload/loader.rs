// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads and unloads modules: two pages of the window and two frames, other ones each time.
//!
//! CPU 0 alone loads and unloads. It reads a module's data through the identity map, so that only
//! the handler reads in the window.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::code;
use super::module::Module;
use crate::paging::{PAGE_BYTES, shootdown, window};

/// Pages of a module: code, then data.
const PAGES: usize = 2;

/// How many modules the loader loads until it uses pages of the window again, and until it uses
/// frames again.
const PLACES: usize = window::PAGES / PAGES;
const FRAME_PAIRS: usize = 32;

/// An instruction that traps (INT3), in every byte.
const POISON: u8 = 0xcc;

#[repr(C, align(4096))]
struct Frame(UnsafeCell<[u8; PAGE_BYTES]>);

// SAFETY: written by CPU 0 while no page is mapped onto it; what is shared afterwards is atomic.
unsafe impl Sync for Frame {}

static FRAMES: [[Frame; PAGES]; FRAME_PAIRS] =
    [const { [const { Frame(UnsafeCell::new([POISON; PAGE_BYTES])) }; PAGES] }; FRAME_PAIRS];

/// Modules loaded so far. Writer: CPU 0. Reader: the CPU that reports a late call.
static LOADED: AtomicUsize = AtomicUsize::new(0);

/// Calls that the code of all unloaded modules has begun, and finished.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static FINISHED: AtomicU64 = AtomicU64::new(0);

/// Reads of unmapped pages that succeeded, and all that were tried.
static READABLE: AtomicUsize = AtomicUsize::new(0);
static PROBES: AtomicUsize = AtomicUsize::new(0);

/// A module that is loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    first_page: usize,
    frames: &'static [Frame; PAGES],
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frame({:#x})", self.address())
    }
}

impl Frame {
    fn address(&self) -> usize {
        self.0.get().expose_provenance()
    }

    /// Fills the frame. No page is mapped onto it, and no CPU has a TLB entry for it.
    fn fill(&self, byte: u8) {
        // SAFETY: the frame is whole, and CPU 0 has it to itself.
        unsafe { self.0.get().write_bytes(byte, 1) };
    }
}

/// Loads the module.
pub(super) fn load() -> Loaded {
    let number = LOADED.fetch_add(1, Ordering::Relaxed);
    let first_page = number % PLACES * PAGES;
    let frames = &FRAMES[number % FRAME_PAIRS];
    let [code_frame, data_frame] = frames;

    let (code, code_bytes) = code::image();
    assert!(code_bytes <= PAGE_BYTES);
    // SAFETY: the code is as long as that and shorter than the frame, which CPU 0 has to itself. No
    // CPU has anything of its former content: the shootdown after the unmapping was an interrupt,
    // whose IRET serialises (SDM Vol. 3A, "Handling Self- and Cross-Modifying Code").
    unsafe { code_frame.0.get().cast::<u8>().copy_from_nonoverlapping(code, code_bytes) };
    let module = Module::new(window::address_of(first_page));
    // SAFETY: the frame is larger than a `Module`, aligned to a page, and CPU 0 has it to itself.
    unsafe { data_frame.0.get().cast::<Module>().write(module) };

    for (page, frame) in (first_page..).zip(frames) {
        window::map(page, frame.address());
    }
    Loaded { first_page, frames }
}

impl Loaded {
    /// The handler, where the window has it.
    ///
    /// # Safety
    ///
    /// The result is not used once the module is unloaded. `'static` says "as long as it is
    /// registered" here, as it does in every kernel that unloads modules: who unloads one vouches
    /// that nothing of it is used any more.
    pub(super) unsafe fn handler(&self) -> &'static Module {
        let data_page = window::address_of(self.first_page + 1);
        let data = core::ptr::with_exposed_provenance::<Module>(data_page);
        // SAFETY: the page is mapped onto the frame that holds the module; the rest is the
        // caller's.
        unsafe { &*data }
    }

    /// The same data, where the identity map has it.
    pub(super) fn data(&self) -> &Module {
        let [_, data_frame] = self.frames;
        // SAFETY: `load` wrote a module there, all its words are atomic, and it is poisoned only
        // when this value is gone.
        unsafe { &*data_frame.0.get().cast::<Module>() }
    }

    /// The number of the first of its pages.
    pub(super) fn first_page(&self) -> usize {
        self.first_page
    }

    /// Takes its pages out of the page tables, if they are there. CPUs may still have TLB entries
    /// for them.
    pub(super) fn unmap(&self) {
        unmap(self.first_page);
    }

    /// Takes its code page out.
    pub(super) fn unmap_code(&self) {
        window::unmap(self.first_page);
    }

    /// Unmaps it, makes every CPU forget its pages, and poisons its frames.
    pub(super) fn unload(self, cpus: usize) {
        BEGUN.fetch_add(self.data().begun.load(Ordering::SeqCst), Ordering::Relaxed);
        FINISHED.fetch_add(self.data().finished.load(Ordering::SeqCst), Ordering::Relaxed);
        self.unmap();
        let readable = shootdown::everywhere(window::address_of(self.first_page), PAGES, cpus);
        READABLE.fetch_add(readable, Ordering::Relaxed);
        PROBES.fetch_add(PAGES * cpus, Ordering::Relaxed);
        self.frames.iter().for_each(|frame| frame.fill(POISON));
    }
}

/// Takes the pages of the module at `first_page` out of the page tables. NMI-safe.
pub(super) fn unmap(first_page: usize) {
    (first_page..first_page + PAGES).for_each(window::unmap);
}

/// The counts over all modules so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Books {
    /// Modules loaded.
    pub(super) loaded: usize,
    /// Calls in their code that had begun when they were unmapped.
    pub(super) begun: u64,
    /// Calls in their code that had finished then.
    pub(super) finished: u64,
    /// Reads of their pages that were tried after the shootdown.
    pub(super) probes: usize,
    /// Those that succeeded.
    pub(super) readable: usize,
}

/// The books. Any context.
pub(super) fn books() -> Books {
    Books {
        loaded: LOADED.load(Ordering::Relaxed),
        begun: BEGUN.load(Ordering::Relaxed),
        finished: FINISHED.load(Ordering::Relaxed),
        probes: PROBES.load(Ordering::Relaxed),
        readable: READABLE.load(Ordering::Relaxed),
    }
}

/// A place in the window, in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// `code` or `data`.
    pub(super) part: &'static str,
    /// The last module that was loaded there, counted from 1.
    pub(super) module: usize,
}

/// What `page` of the window was last used for, if it was. Any context.
pub(super) fn place_of(page: usize) -> Option<Place> {
    let part = if page % PAGES == 0 { "code" } else { "data" };
    let last = LOADED.load(Ordering::Relaxed).checked_sub(1)?;
    let rounds_ago = (last + PLACES - page / PAGES) % PLACES;
    Some(Place { part, module: last.checked_sub(rounds_ago)? + 1 })
}
