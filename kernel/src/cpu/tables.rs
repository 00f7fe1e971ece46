// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptor tables: a GDT and a TSS per CPU, and one IDT whose gates are the same on all.
//!
//! The IDT names stacks by their number in the TSS, so each CPU lands on its own.

use core::cell::UnsafeCell;
use core::mem::size_of;

use x86_64::instructions::segmentation::{CS, SS, Segment};
use x86_64::instructions::tables::{lgdt, lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

use super::MAX_CPUS;
use super::stacks::{self, Ist};
use crate::trap::{self, gate::Gate};

const CODE: SegmentSelector = SegmentSelector::new(1, PrivilegeLevel::Ring0);
const DATA: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);
const TASK: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring0);

const CODE_DESCRIPTOR: u64 = 0x00af_9b00_0000_ffff;
const DATA_DESCRIPTOR: u64 = 0x00cf_9300_0000_ffff;

/// A table that its CPU fills before it uses it, and the hardware reads afterwards.
#[repr(transparent)]
struct Table<T>(UnsafeCell<T>);

// SAFETY: written by `load` alone, on the CPU whose table it is, before any hardware reads it.
unsafe impl<T> Sync for Table<T> {}

struct CpuTables {
    gdt: Table<[u64; 5]>,
    tss: Table<TaskStateSegment>,
}

static TABLES: [CpuTables; MAX_CPUS] = [const {
    CpuTables {
        gdt: Table(UnsafeCell::new([0; 5])),
        tss: Table(UnsafeCell::new(TaskStateSegment::new())),
    }
}; MAX_CPUS];

static IDT: Table<[Gate; 256]> = Table(UnsafeCell::new([Gate::MISSING; 256]));

/// A system descriptor for the TSS at `address`: available, present (SDM Vol. 3A, 9.2.3).
fn task_descriptor(address: u64) -> [u64; 2] {
    let limit = size_of::<TaskStateSegment>() as u64 - 1;
    let low = limit | (address & 0x00ff_ffff) << 16 | 0x89 << 40 | (address >> 24 & 0xff) << 56;
    [low, address >> 32]
}

fn pointer<T>(table: &Table<T>) -> DescriptorTablePointer {
    DescriptorTablePointer {
        limit: size_of::<T>() as u16 - 1,
        base: VirtAddr::new(table.0.get().expose_provenance() as u64),
    }
}

/// Fills the IDT, once, before any CPU loads it.
///
/// # Safety
///
/// Called once, on the boot CPU, before [`load`].
pub(crate) unsafe fn fill_idt() {
    // SAFETY: the caller vouches that nobody else reaches the table yet.
    let gates = unsafe { &mut *IDT.0.get() };
    for (vector, gate) in (0..=u8::MAX).zip(gates) {
        *gate = trap::gate_of(vector);
    }
}

/// Fills and loads this CPU's GDT and TSS, then loads the IDT.
///
/// # Safety
///
/// The calling CPU is `cpu`, its GS points at its area, its stacks are prepared, and the IDT is
/// filled. Called once each time that the CPU starts.
pub(crate) unsafe fn load(cpu: usize) {
    let tables = &TABLES[cpu];
    // SAFETY: nobody but this CPU reaches its TSS, and it is not loaded since the CPU started.
    let tss = unsafe { &mut *tables.tss.0.get() };
    tss.interrupt_stack_table =
        Ist::ALL.map(|ist| VirtAddr::new(stacks::interrupt_top(cpu, ist) as u64));
    let [task_low, task_high] = task_descriptor(tables.tss.0.get().expose_provenance() as u64);
    // SAFETY: as for the TSS.
    unsafe { *tables.gdt.0.get() = [0, CODE_DESCRIPTOR, DATA_DESCRIPTOR, task_low, task_high] };

    // SAFETY: the table is a static with valid descriptors.
    unsafe { lgdt(&pointer(&tables.gdt)) };
    // SAFETY: the selector names a 64-bit code segment that equals the one in use.
    unsafe { CS::set_reg(CODE) };
    // SAFETY: the selector names a writable data segment.
    unsafe { SS::set_reg(DATA) };
    // SAFETY: the selector names a TSS that lives for ever, and the descriptor, just written, says
    // that it is available.
    unsafe { load_tss(TASK) };
    // SAFETY: every gate leads to entry code, on a stack of this CPU's TSS.
    unsafe { lidt(&pointer(&IDT)) };
}

/// Loads an empty interrupt table, so that the next interrupt or exception resets the machine.
///
/// # Safety
///
/// The machine is meant to be reset.
pub(crate) unsafe fn load_empty_idt() {
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: the caller wants what follows.
    unsafe { lidt(&nothing) };
}
