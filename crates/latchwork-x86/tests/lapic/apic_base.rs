// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switching modes takes legal transitions only.
//!
//! The model is written from the Intel SDM Vol. 3A, section 10.12.5 "x2APIC State Transitions",
//! Figure 10-27: EN is bit 11 and EXTD bit 10 of MSR 1BH. From disabled (00) one may enter xAPIC
//! (10) only; from xAPIC, disabled or x2APIC (11); from x2APIC, disabled only. Every other change,
//! and the state 01, is a #GP.

use std::cell::{Cell, RefCell};

use latchwork_x86::hw::Msr;
use latchwork_x86::lapic::mode::{self, ApicMode};

const BASE_AND_BSP: u64 = 0xFEE0_0100;

struct ApicBase {
    value: Cell<u64>,
    states: RefCell<Vec<u64>>,
}

impl Msr for ApicBase {
    unsafe fn read(&self, index: u32) -> u64 {
        assert_eq!(index, 0x1B);
        self.value.get()
    }

    unsafe fn write(&self, index: u32, value: u64) {
        assert_eq!(index, 0x1B);
        assert_eq!(value & !0xC00, BASE_AND_BSP, "base address and BSP flag stay");
        let (old, new) = (self.value.get() & 0xC00, value & 0xC00);
        let legal = [(0x000, 0x800), (0x800, 0x000), (0x800, 0xC00), (0xC00, 0x000)];
        assert!(legal.contains(&(old, new)), "#GP: {old:#x} to {new:#x}");
        self.value.set(value);
        self.states.borrow_mut().push(new);
    }

    fn order_stores_before_write(&self) {}
}

#[test]
fn every_mode_is_reached_from_every_mode() {
    let modes = [(ApicMode::Disabled, 0x000), (ApicMode::XApic, 0x800), (ApicMode::X2Apic, 0xC00)];
    for (from, from_bits) in modes {
        for (to, to_bits) in modes {
            let msr =
                ApicBase { value: Cell::new(BASE_AND_BSP + from_bits), states: RefCell::default() };
            // SAFETY: a model.
            assert_eq!(unsafe { mode::current(&msr) }, from);
            // SAFETY: a model.
            assert_eq!(unsafe { mode::base_address(&msr) }, 0xFEE0_0000);
            // SAFETY: a model.
            unsafe { mode::switch(&msr, to) };
            assert_eq!(msr.value.get(), BASE_AND_BSP + to_bits, "{from:?} to {to:?}");
            if from == to {
                assert!(msr.states.borrow().is_empty(), "no write without a change");
            }
        }
    }
}
