// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of the entry that Rust can do: GS base, DR7 and CR2.

use super::{NmiFrame, NmiStackTop};
use crate::hw::{Cpu, CpuState};

const BREAKPOINTS_ENABLED: u64 = 0xFF;
const NO_BREAKPOINTS: u64 = 0x400;

/// Saves GS base, DR7 and CR2 in `frame` and sets what the handler needs: the kernel's GS base, and
/// no breakpoints.
///
/// [`nmi_entry!`](crate::nmi_entry) calls it before the handler. It reads nothing through GS.
///
/// # Safety
///
///  - Privilege level 0, in an NMI that is on the stack of `top`, and `top` is true of this CPU.
///  - DR7.GD is clear.
#[inline(always)]
pub unsafe fn save(cpu: &impl CpuState, frame: &mut NmiFrame, top: &NmiStackTop) {
    // SAFETY: `top` is true of this CPU (contract of this function).
    frame.gs_base = unsafe { cpu.gs_base(top.access()) };
    if frame.gs_base != top.gs_base() {
        // SAFETY: as above. The interrupted code does not run before `restore`.
        unsafe { cpu.set_gs_base(top.access(), top.gs_base()) }
    }
    // SAFETY: the contract of this function.
    frame.dr7 = unsafe { cpu.dr7() };
    if frame.dr7 & BREAKPOINTS_ENABLED != 0 {
        // A breakpoint in the handler would be an exception, whose `iretq` would open NMIs.
        // SAFETY: the contract of this function; the value enables no breakpoint.
        unsafe { cpu.set_dr7(NO_BREAKPOINTS) }
    }
    // SAFETY: the contract of this function.
    frame.cr2 = unsafe { cpu.cr2() };
}

/// Undoes [`save`]. [`nmi_entry!`](crate::nmi_entry) calls it after the handler.
///
/// # Safety
///
/// As for [`save`], which was called with the same arguments before; the handler has not changed
/// the GS base.
#[inline(always)]
pub unsafe fn restore(cpu: &impl CpuState, frame: &NmiFrame, top: &NmiStackTop) {
    // SAFETY: the contract of this function.
    if unsafe { cpu.cr2() } != frame.cr2 {
        // SAFETY: this is what the interrupted code, perhaps a page fault entry, is about to read.
        unsafe { cpu.set_cr2(frame.cr2) }
    }
    if frame.dr7 & BREAKPOINTS_ENABLED != 0 {
        // SAFETY: DR7 of the interrupted code, which had these breakpoints on.
        unsafe { cpu.set_dr7(frame.dr7) }
    }
    if frame.gs_base != top.gs_base() {
        // SAFETY: the GS base of the interrupted code, which is canonical since the CPU had it.
        unsafe { cpu.set_gs_base(top.access(), frame.gs_base) }
    }
}

/// Saves the machine's state, calls `handler`, and restores the state. The entry's assembly calls
/// it through [`nmi_entry!`](crate::nmi_entry).
///
/// # Safety
///
/// In an NMI on a stack with a true [`NmiStackTop`], right below which `frame` lies.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn run(frame: &mut NmiFrame, handler: unsafe extern "sysv64" fn(&mut NmiFrame)) {
    let top = (&raw const *frame).wrapping_add(1).cast::<NmiStackTop>();
    // SAFETY: it lies right above the frame, and no code writes it while NMIs arrive (contract of
    // this function).
    let top = unsafe { &*top };
    // SAFETY: in an NMI, hence at privilege level 0, on the stack of `top`.
    unsafe { save(&Cpu, frame, top) }
    // SAFETY: the contract that `nmi_entry!` states for handlers.
    unsafe { handler(frame) }
    // SAFETY: as for `save`.
    unsafe { restore(&Cpu, frame, top) }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::{Cell, RefCell};
    use std::vec::Vec;

    use super::*;
    use crate::hw::GsAccess;

    const KERNEL: u64 = 0xFFFF_8000_0000_1000;
    const USER: u64 = 0x0000_7FFF_1234_0000;

    #[derive(Debug, PartialEq, Eq)]
    enum Write {
        Gs(GsAccess, u64),
        Cr2(u64),
        Dr7(u64),
    }

    struct Model {
        gs_base: Cell<u64>,
        cr2: Cell<u64>,
        dr7: Cell<u64>,
        access: GsAccess,
        writes: RefCell<Vec<Write>>,
    }

    impl Model {
        fn new(gs_base: u64, dr7: u64) -> Self {
            Self {
                gs_base: Cell::new(gs_base),
                cr2: Cell::new(0xDEAD_0000),
                dr7: Cell::new(dr7),
                access: GsAccess::Msr,
                writes: RefCell::default(),
            }
        }
    }

    impl CpuState for Model {
        unsafe fn gs_base(&self, access: GsAccess) -> u64 {
            assert_eq!(access, self.access, "the other instruction is undefined or slow here");
            self.gs_base.get()
        }

        unsafe fn set_gs_base(&self, access: GsAccess, base: u64) {
            assert_eq!(access, self.access, "the other instruction is undefined or slow here");
            self.gs_base.set(base);
            self.writes.borrow_mut().push(Write::Gs(access, base));
        }

        unsafe fn cr2(&self) -> u64 {
            self.cr2.get()
        }

        unsafe fn set_cr2(&self, value: u64) {
            self.cr2.set(value);
            self.writes.borrow_mut().push(Write::Cr2(value));
        }

        unsafe fn dr7(&self) -> u64 {
            self.dr7.get()
        }

        unsafe fn set_dr7(&self, value: u64) {
            self.dr7.set(value);
            self.writes.borrow_mut().push(Write::Dr7(value));
        }
    }

    /// One NMI on `cpu`, with `handler` between [`save`] and [`restore`].
    fn nmi(cpu: &Model, handler: impl Fn(&mut NmiFrame)) {
        let top = NmiStackTop::new(KERNEL, cpu.access);
        let mut frame = NmiFrame::default();
        // SAFETY: a model.
        unsafe { save(cpu, &mut frame, &top) }
        assert_eq!(cpu.gs_base.get(), KERNEL);
        assert_eq!(cpu.dr7.get() & 0xFF, 0, "no breakpoint in the handler");
        handler(&mut frame);
        // SAFETY: a model.
        unsafe { restore(cpu, &frame, &top) }
    }

    #[test]
    fn an_nmi_in_the_kernel_writes_nothing() {
        let cpu = Model::new(KERNEL, 0x400);
        nmi(&cpu, |_| {});
        assert_eq!(*cpu.writes.borrow(), []);
    }

    #[test]
    fn another_gs_base_is_replaced_and_comes_back() {
        for access in [GsAccess::Msr, GsAccess::FsGsBase] {
            let cpu = Model { access, ..Model::new(USER, 0x400) };
            nmi(&cpu, |frame| assert_eq!(frame.gs_base, USER));
            assert_eq!(*cpu.writes.borrow(), [Write::Gs(access, KERNEL), Write::Gs(access, USER)]);
        }
    }

    #[test]
    fn breakpoints_are_off_in_the_handler_and_come_back() {
        for enabled in [0x01, 0x02, 0x80, 0xFF] {
            let dr7 = 0x000D_0400 | enabled;
            let cpu = Model::new(KERNEL, dr7);
            nmi(&cpu, |frame| assert_eq!(frame.dr7, dr7));
            assert_eq!(*cpu.writes.borrow(), [Write::Dr7(0x400), Write::Dr7(dr7)]);
        }
    }

    #[test]
    fn a_breakpoint_that_the_handler_sets_is_in_force_afterwards() {
        let cpu = Model::new(KERNEL, 0x400);
        nmi(&cpu, |frame| frame.dr7 = 0x402);
        assert_eq!(cpu.dr7.get(), 0x402);
    }

    #[test]
    fn cr2_comes_back_if_the_handler_changed_it() {
        let cpu = Model::new(KERNEL, 0x400);
        nmi(&cpu, |_| cpu.cr2.set(0x1234));
        assert_eq!(*cpu.writes.borrow(), [Write::Cr2(0xDEAD_0000)]);
    }
}
