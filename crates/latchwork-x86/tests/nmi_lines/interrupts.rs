// SPDX-License-Identifier: MIT OR Apache-2.0
//! I/O APICs (type 1: ID, address, first interrupt) and interrupt source overrides (type 2: bus,
//! source, interrupt, flags).

use latchwork_x86::acpi::{AcpiError, IoApicPin, IsaInterrupt, Madt, PinPolarity, PinTrigger};
use proptest::prelude::*;

use crate::image::Image;

const FIRST: &[u8] = &[1, 12, 1, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0];
const SECOND: &[u8] = &[1, 12, 2, 0, 0, 0x10, 0xC0, 0xFE, 24, 0, 0, 0];

fn pin(entries: &[&[u8]], interrupt: u32) -> Result<Option<IoApicPin>, AcpiError> {
    let image = Image::of(entries);
    Madt::at(&image, 0).unwrap().io_apic_pin(interrupt)
}

fn isa(entries: &[&[u8]], source: u8) -> Result<IsaInterrupt, AcpiError> {
    let image = Image::of(entries);
    Madt::at(&image, 0).unwrap().isa_interrupt(source)
}

#[test]
fn an_interrupt_is_served_by_the_io_apic_that_begins_nearest_below_it() {
    for entries in [[FIRST, SECOND], [SECOND, FIRST]] {
        for (interrupt, address, number) in [
            (0, 0xFEC0_0000, 0),
            (23, 0xFEC0_0000, 23),
            (24, 0xFEC0_1000, 0),
            (24 + 255, 0xFEC0_1000, 255),
        ] {
            let expected = IoApicPin { address, pin: number };
            assert_eq!(pin(&entries, interrupt), Ok(Some(expected)));
        }
        assert_eq!(pin(&entries, 24 + 256), Ok(None), "no pin has such a number");
    }
    assert_eq!(pin(&[SECOND], 23), Ok(None));
    assert_eq!(pin(&[], 0), Ok(None));
}

#[test]
fn an_override_says_where_an_isa_interrupt_is() {
    let timer: &[u8] = &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0];
    let low_level: &[u8] = &[2, 10, 0, 9, 20, 1, 0, 0, 0x0F, 0];
    let entries = [timer, low_level];
    assert_eq!(isa(&entries, 0).unwrap().interrupt, 2);
    let ninth = isa(&entries, 9).unwrap();
    assert_eq!(ninth.interrupt, 0x114);
    assert_eq!(ninth.flags.polarity(), PinPolarity::ActiveLow);
    assert_eq!(ninth.flags.trigger(), PinTrigger::Level);
}

#[test]
fn without_an_override_an_isa_interrupt_has_its_own_number_and_is_signalled_as_isa_does() {
    let timer: &[u8] = &[2, 10, 0, 0, 2, 0, 0, 0, 0x0F, 0];
    let of_another_bus: &[u8] = &[2, 10, 1, 8, 3, 0, 0, 0, 0x0F, 0];
    let eighth = isa(&[timer, of_another_bus], 8).unwrap();
    assert_eq!(eighth.interrupt, 8);
    assert_eq!(eighth.flags.polarity(), PinPolarity::AsBus);
    assert_eq!(eighth.flags.trigger(), PinTrigger::AsBus);
}

#[test]
fn a_malformed_entry_is_an_error() {
    let error = AcpiError::EntryLength { kind: 1, offset: 56, bytes: 11, minimum_bytes: 12 };
    let entries = [FIRST, &[1, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]];
    assert_eq!(pin(&entries, 5), Err(error));
    assert_eq!(isa(&entries, 5), Err(error));
}

proptest! {
    #[test]
    fn any_bytes_give_a_pin_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        interrupt in any::<u32>(),
        source in any::<u8>(),
    ) {
        let _ = pin(&[FIRST, &bytes], interrupt);
        let _ = isa(&[FIRST, &bytes], source);
    }
}
