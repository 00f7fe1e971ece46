// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything but sends, in both modes.

use latchwork_x86::lapic::lvt::{
    CpuEvent, CpuEventDelivery, Lint, LintDelivery, Lvt, LvtError, Mask, Polarity, Trigger,
};
use latchwork_x86::lapic::{Access, AnyApic, Divider, Lapic, TimerMode, X2Apic, XApic};
use latchwork_x86::{NmiSource, Vector};

use crate::model::ApicModel;

pub(crate) type AnyLapic<'m> = Lapic<AnyApic<&'m ApicModel, &'m ApicModel>>;

/// Runs `test` on a fresh, software-enabled APIC in each mode.
pub(crate) fn in_both_modes(id: u32, max_lvt: u32, test: impl Fn(&ApicModel, &AnyLapic<'_>)) {
    for x2apic in [false, true] {
        let model = ApicModel::new(id, max_lvt, 0);
        let lapic = Lapic::new(if x2apic {
            // SAFETY: the model stands for an APIC in x2APIC mode.
            AnyApic::X2Apic(unsafe { X2Apic::new(&model) })
        } else {
            // SAFETY: the model stands for an APIC in xAPIC mode.
            AnyApic::XApic(unsafe { XApic::new(&model) })
        });
        lapic.enable(Vector::of::<0xFF>());
        test(&model, &lapic);
    }
}

#[test]
fn identity() {
    in_both_modes(0xA7, 5, |_, lapic| {
        assert_eq!(lapic.id().get(), 0xA7);
        assert_eq!(lapic.version().number(), 0x14);
        assert_eq!(lapic.version().max_lvt(), 5);
    });
    let model = ApicModel::new(0x0001_2345, 5, 0);
    // SAFETY: the model stands for an APIC in x2APIC mode.
    let lapic = Lapic::new(unsafe { X2Apic::new(&model) });
    assert_eq!(lapic.id().get(), 0x0001_2345);
}

#[test]
fn software_enable_keeps_the_other_bits_of_the_svr() {
    in_both_modes(0, 6, |model, lapic| {
        assert!(lapic.is_enabled());
        assert_eq!(model.register(0xF0), 0x1FF);
        model.raise_lvt_status(0xF0, 0x1000); // EOI-broadcast suppression, set by someone else
        lapic.enable(Vector::of::<0x3F>());
        assert_eq!(model.register(0xF0), 0x113F);
        lapic.disable();
        assert_eq!(model.register(0xF0), 0x103F);
        assert!(!lapic.is_enabled());
    });
}

#[test]
fn an_entry_stays_masked_until_the_apic_is_enabled() {
    in_both_modes(0, 6, |model, lapic| {
        lapic.disable();
        assert_eq!(lapic.set_mask(Lvt::Lint1, Mask::Unmasked), Ok(()));
        assert_eq!(lapic.lvt(Lvt::Lint1).unwrap().mask(), Mask::Masked);
        lapic.enable(Vector::of::<0xFF>());
        assert_eq!(lapic.set_mask(Lvt::Lint1, Mask::Unmasked), Ok(()));
        assert_eq!(model.register(0x360) & 0x1_0000, 0);
    });
}

#[test]
fn priority_and_end_of_interrupt() {
    in_both_modes(0, 6, |model, lapic| {
        lapic.set_task_priority(0x20);
        assert_eq!(model.register(0x80), 0x20);
        assert_eq!(lapic.task_priority(), 0x20);
        lapic.end_of_interrupt();
    });
}

#[test]
fn events_of_the_cpu() {
    let cases = [
        (CpuEventDelivery::Fixed(Vector::of::<0x41>()), 0x041),
        (CpuEventDelivery::Nmi(None), 0x400),
        (CpuEventDelivery::Nmi(NmiSource::new(7)), 0x407),
        (CpuEventDelivery::Smi, 0x200),
    ];
    let offsets = [
        (CpuEvent::Cmci, Lvt::Cmci, 0x2F0),
        (CpuEvent::Thermal, Lvt::Thermal, 0x330),
        (CpuEvent::Performance, Lvt::Performance, 0x340),
    ];
    in_both_modes(0, 6, |model, lapic| {
        for (event, entry, offset) in offsets {
            for (delivery, bits) in cases {
                assert_eq!(lapic.set_cpu_event(event, delivery, Mask::Unmasked), Ok(()));
                assert_eq!(model.register(offset), bits);
                let is_nmi = matches!(delivery, CpuEventDelivery::Nmi(_));
                assert_eq!(lapic.lvt(entry).unwrap().delivers_nmi(), is_nmi);
                assert_eq!(lapic.set_cpu_event(event, delivery, Mask::Masked), Ok(()));
                assert_eq!(model.register(offset), bits + 0x1_0000);
            }
        }
    });
}

#[test]
fn interrupt_pins() {
    let vector = Vector::of::<0x55>();
    let cases = [
        (LintDelivery::Fixed(vector, Trigger::Edge), 0x055),
        (LintDelivery::Nmi(None), 0x400),
        (LintDelivery::Nmi(NmiSource::new(1)), 0x401),
        (LintDelivery::Smi, 0x200),
        (LintDelivery::Init, 0x500),
        (LintDelivery::ExtInt, 0x700),
    ];
    in_both_modes(0, 6, |model, lapic| {
        for (lint, offset) in [(Lint::Lint0, 0x350), (Lint::Lint1, 0x360)] {
            for (delivery, bits) in cases {
                let set = |polarity, mask| lapic.set_lint(lint, delivery, polarity, mask);
                assert_eq!(set(Polarity::ActiveHigh, Mask::Unmasked), Ok(()));
                assert_eq!(model.register(offset), bits);
                assert_eq!(set(Polarity::ActiveLow, Mask::Masked), Ok(()));
                assert_eq!(model.register(offset), bits + 0x2000 + 0x1_0000);
            }
        }
        let level = LintDelivery::Fixed(vector, Trigger::Level);
        let set = |lint| lapic.set_lint(lint, level, Polarity::ActiveHigh, Mask::Unmasked);
        assert_eq!(set(Lint::Lint0), Ok(()));
        assert_eq!(model.register(0x350), 0x8055);
        // Section 10.5.1: "Software should always set the trigger mode in the LVT LINT1 register to
        // 0."
        assert_eq!(set(Lint::Lint1), Err(LvtError::LevelTriggeredLint1));
    });
}

#[test]
fn masking_leaves_the_rest_and_writes_no_status_bit_back() {
    in_both_modes(0, 6, |model, lapic| {
        let level = LintDelivery::Fixed(Vector::of::<0x55>(), Trigger::Level);
        assert_eq!(lapic.set_lint(Lint::Lint0, level, Polarity::ActiveLow, Mask::Unmasked), Ok(()));
        model.raise_lvt_status(0x350, 0x5000); // delivery status and remote IRR, both read-only
        assert!(lapic.lvt(Lvt::Lint0).unwrap().is_pending());
        assert_eq!(lapic.set_mask(Lvt::Lint0, Mask::Masked), Ok(()));
        assert_eq!(model.register(0x350), 0x1_A055);
        assert_eq!(lapic.set_mask(Lvt::Lint0, Mask::Unmasked), Ok(()));
        assert_eq!(model.register(0x350), 0x0_A055);
    });
}

/// The model panics if an absent entry is touched; in x2APIC mode that would be a #GP.
#[test]
fn absent_entries_are_not_touched() {
    let optional = [
        (CpuEvent::Performance, Lvt::Performance, 4),
        (CpuEvent::Thermal, Lvt::Thermal, 5),
        (CpuEvent::Cmci, Lvt::Cmci, 6),
    ];
    for max_lvt in 3..=6 {
        in_both_modes(0, max_lvt, |_, lapic| {
            for (event, entry, needs) in optional {
                let expected =
                    if max_lvt >= needs { Ok(()) } else { Err(LvtError::NotPresent(entry)) };
                let set = lapic.set_cpu_event(event, CpuEventDelivery::Nmi(None), Mask::Masked);
                assert_eq!(set, expected);
                assert_eq!(lapic.set_mask(entry, Mask::Masked), expected);
                assert_eq!(lapic.lvt(entry).map(|_| ()), expected);
                assert_eq!(lapic.has(entry), expected.is_ok());
            }
            for entry in [Lvt::Timer, Lvt::Lint0, Lvt::Lint1, Lvt::Error] {
                assert_eq!(lapic.set_mask(entry, Mask::Masked), Ok(()));
            }
        });
    }
}

#[test]
fn timer_and_error_entries() {
    in_both_modes(0, 6, |model, lapic| {
        lapic.set_timer(Vector::of::<0x30>(), TimerMode::OneShot, Mask::Unmasked);
        assert_eq!(model.register(0x320), 0x30);
        lapic.set_timer(Vector::of::<0x30>(), TimerMode::Periodic, Mask::Masked);
        assert_eq!(model.register(0x320), 0x3_0030);
        lapic.set_error(Vector::of::<0xFE>(), Mask::Unmasked);
        assert_eq!(model.register(0x370), 0xFE);
    });
}

/// Figure 10-10, "Divide Configuration Register".
#[test]
fn timer_counts() {
    let dividers = [
        (Divider::By2, 0b0000),
        (Divider::By4, 0b0001),
        (Divider::By8, 0b0010),
        (Divider::By16, 0b0011),
        (Divider::By32, 0b1000),
        (Divider::By64, 0b1001),
        (Divider::By128, 0b1010),
        (Divider::By1, 0b1011),
    ];
    in_both_modes(0, 6, |model, lapic| {
        for (divider, bits) in dividers {
            lapic.start_timer(divider, 1000);
            assert_eq!((model.register(0x3E0), model.register(0x380)), (bits, 1000));
            assert_eq!(lapic.timer_count(), 1000);
        }
        lapic.stop_timer();
        assert_eq!(lapic.timer_count(), 0);
    });
}

#[test]
fn a_driver_for_one_mode_is_a_driver_for_any() {
    fn spurious<A: Access>(lapic: &Lapic<A>) -> bool {
        lapic.enable(Vector::MAX);
        lapic.is_enabled()
    }
    let model = ApicModel::new(0, 6, 0);
    // SAFETY: the model stands for an APIC in xAPIC mode.
    assert!(spurious(&Lapic::new(unsafe { XApic::new(&model) })));
}
