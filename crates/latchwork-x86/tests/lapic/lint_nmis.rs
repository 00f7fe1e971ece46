// SPDX-License-Identifier: MIT OR Apache-2.0
//! LINT pins programmed from the MADT (LVT bits: SDM Vol. 3A, Figure 10-8).

use std::cell::RefCell;

use latchwork_x86::acpi::Madt;
use latchwork_x86::hw::Mmio;
use latchwork_x86::lapic::lvt::Mask;
use latchwork_x86::lapic::{Lapic, XApic};
use latchwork_x86::nmi_lines::LintNmis;
use latchwork_x86::{NmiSource, Vector};

use crate::image::Image;
use crate::model::ApicModel;

/// LINT1 high for all, LINT0 low for CPU 7.
const ENTRIES: [&[u8]; 2] = [&[4, 6, 0xFF, 0, 0, 1], &[4, 6, 7, 0x0F, 0, 0]];

fn program(model: &ApicModel, uid: u32, source: Option<NmiSource>, mask: Mask) {
    let image = Image::of(&ENTRIES);
    let nmis = LintNmis::of_cpu(&Madt::at(&image, 0).unwrap(), uid).unwrap();
    // SAFETY: the model stands for an APIC in xAPIC mode.
    let lapic = Lapic::new(unsafe { XApic::new(model) });
    lapic.enable(Vector::of::<0xFF>());
    assert_eq!(nmis.program(&lapic, source, mask), Ok(()));
}

#[test]
fn the_pins_of_this_cpu_are_programmed_and_no_others() {
    let model = ApicModel::new(7, 6, 0);
    program(&model, 7, None, Mask::Unmasked);
    assert_eq!((model.register(0x350), model.register(0x360)), (0x2400, 0x0400));

    let model = ApicModel::new(1, 6, 0);
    // SAFETY: the model takes any access, and panics on a wrong one.
    unsafe { Mmio::write(&&model, 0x350, 0x1_0700) };
    program(&model, 1, NmiSource::new(6), Mask::Unmasked);
    assert_eq!((model.register(0x350), model.register(0x360)), (0x1_0700, 0x0406));
}

#[test]
fn the_traditional_wiring_programs_lint1_alone() {
    let model = ApicModel::new(0, 6, 0);
    // SAFETY: the model takes any access, and panics on a wrong one.
    unsafe { Mmio::write(&&model, 0x350, 0x1_0700) };
    // SAFETY: the model stands for an APIC in xAPIC mode.
    let lapic = Lapic::new(unsafe { XApic::new(&model) });
    lapic.enable(Vector::of::<0xFF>());
    assert_eq!(LintNmis::traditional(0).program(&lapic, None, Mask::Unmasked), Ok(()));
    assert_eq!((model.register(0x350), model.register(0x360)), (0x1_0700, 0x0400));
}

#[test]
fn a_masked_pin_stays_masked() {
    let model = ApicModel::new(7, 6, 0);
    program(&model, 7, None, Mask::Masked);
    assert_eq!((model.register(0x350), model.register(0x360)), (0x1_2400, 0x1_0400));
}

/// Passes accesses on and notes the writes.
struct Recorder<'m> {
    model: &'m ApicModel,
    writes: RefCell<Vec<(usize, u32)>>,
}

impl Mmio for &Recorder<'_> {
    unsafe fn read(&self, offset: usize) -> u32 {
        // SAFETY: the model takes any access, and panics on a wrong one.
        unsafe { Mmio::read(&self.model, offset) }
    }

    unsafe fn write(&self, offset: usize, value: u32) {
        self.writes.borrow_mut().push((offset, value));
        // SAFETY: as above.
        unsafe { Mmio::write(&self.model, offset, value) }
    }
}

#[test]
fn a_pin_is_masked_while_its_polarity_changes() {
    let model = ApicModel::new(7, 6, 0);
    program(&model, 7, None, Mask::Unmasked);
    let image = Image::of(&[&[4, 6, 7, 0x0D, 0, 0]]);
    let nmis = LintNmis::of_cpu(&Madt::at(&image, 0).unwrap(), 7).unwrap();
    let recorder = Recorder { model: &model, writes: RefCell::default() };
    // SAFETY: the model stands for an APIC in xAPIC mode.
    let lapic = Lapic::new(unsafe { XApic::new(&recorder) });
    assert_eq!(nmis.program(&lapic, None, Mask::Unmasked), Ok(()));
    assert_eq!(*recorder.writes.borrow(), [(0x350, 0x1_0400), (0x350, 0x0400)]);
}
