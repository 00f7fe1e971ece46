// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stacks: one for threads and seven for the interrupt stack table, per CPU, each above an unmapped
//! page.
//!
//! Every gate switches stacks, because compiled code keeps data in the 128 bytes below its stack
//! pointer (the red zone), which an interrupt on the same stack would overwrite.
//!
//! The top 16 bytes of each stack, its *anchor*, are never part of it. They begin with the address
//! of the CPU's area, which is the kernel's GS base, so that entry code finds the area by its
//! stack, whatever GS holds. All anchors have the layout that the NMI entry needs for its own
//! ([`NmiStackTop`]).

use core::cell::UnsafeCell;
use core::ptr::NonNull;

use latchwork_x86::entry::NmiStackTop;
use latchwork_x86::hw::GsAccess;

use super::{MAX_CPUS, area};
use crate::boot::pages;

/// Bytes at the top of a stack that hold the area's address.
pub(crate) const ANCHOR_SIZE: usize = size_of::<NmiStackTop>();

const PAGE: usize = 4096;
const THREAD_STACK: usize = 64 * 1024;
const INTERRUPT_STACK: usize = 32 * 1024;

/// Which stack of the interrupt stack table a gate uses, 1 to 7 as the gate encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ist {
    /// Vector 2.
    Nmi = 1,
    /// Vector 8.
    DoubleFault = 2,
    /// Vector 18.
    MachineCheck = 3,
    /// Vector 1.
    Debug = 4,
    /// All other exceptions.
    Exception = 5,
    /// Maskable interrupts; their handlers run with interrupts off, so one stack is enough.
    Interrupt = 6,
    /// Reserved for the nested NMI's frame.
    NmiNested = 7,
}

impl Ist {
    /// All seven, in the table's order.
    pub(crate) const ALL: [Self; 7] = [
        Self::Nmi,
        Self::DoubleFault,
        Self::MachineCheck,
        Self::Debug,
        Self::Exception,
        Self::Interrupt,
        Self::NmiNested,
    ];
}

#[repr(C, align(4096))]
struct Stack<const SIZE: usize> {
    guard: [u8; PAGE],
    memory: UnsafeCell<[u8; SIZE]>,
}

// SAFETY: the memory is reached by one CPU's stack pointer, and by `anchor` before that CPU uses
// it.
unsafe impl<const SIZE: usize> Sync for Stack<SIZE> {}

impl<const SIZE: usize> Stack<SIZE> {
    const fn new() -> Self {
        Self { guard: [0; PAGE], memory: UnsafeCell::new([0; SIZE]) }
    }

    /// The address of the anchor, which is where the stack begins to grow down from.
    fn top(&self) -> usize {
        self.memory.get().expose_provenance() + SIZE - ANCHOR_SIZE
    }

    /// # Safety
    ///
    /// Nobody uses the stack, the anchor is true of the CPU that will, and that CPU alone will.
    unsafe fn prepare(&self, anchor: &NmiStackTop) {
        let end = NonNull::new(self.memory.get().wrapping_add(1).cast::<u8>())
            .unwrap_or(NonNull::dangling());
        // SAFETY: the end of `memory`, whose size is a multiple of 16; the rest is the caller's.
        let top = unsafe { anchor.clone().install(end) };
        debug_assert_eq!(top, self.top() as u64);
        pages::unmap((&raw const self.guard).addr());
    }
}

struct Stacks {
    thread: Stack<THREAD_STACK>,
    interrupt: [Stack<INTERRUPT_STACK>; 7],
}

static STACKS: [Stacks; MAX_CPUS] =
    [const { Stacks { thread: Stack::new(), interrupt: [const { Stack::new() }; 7] } }; MAX_CPUS];

/// Writes the anchors of the stacks of `cpu` and unmaps its guard pages.
///
/// # Safety
///
/// `cpu` does not use its stacks: it has not started, or was stopped, or it is the first one and on
/// another stack. And `access` works for its GS base.
pub(crate) unsafe fn prepare(cpu: usize, access: GsAccess) {
    let anchor = NmiStackTop::new(area::address(cpu) as u64, access);
    let stacks = &STACKS[cpu];
    // SAFETY: the caller vouches that nobody uses these stacks; they are the CPU's own.
    unsafe { stacks.thread.prepare(&anchor) };
    for stack in &stacks.interrupt {
        // SAFETY: as above.
        unsafe { stack.prepare(&anchor) };
    }
}

/// Where the thread stack of `cpu` begins.
pub(crate) fn thread_top(cpu: usize) -> usize {
    STACKS[cpu].thread.top()
}

/// Where an interrupt stack of `cpu` begins.
pub(crate) fn interrupt_top(cpu: usize, ist: Ist) -> usize {
    STACKS[cpu].interrupt[ist as usize - 1].top()
}

/// The CPU in whose guard page `address` lies, if it lies in one.
pub(crate) fn guarded_cpu(address: usize) -> Option<usize> {
    STACKS.iter().position(|stacks| {
        let hit = |guard: *const [u8; PAGE]| address.wrapping_sub(guard.addr()) < PAGE;
        hit(&raw const stacks.thread.guard)
            || stacks.interrupt.iter().any(|stack| hit(&raw const stack.guard))
    })
}
