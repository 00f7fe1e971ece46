// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMI source entries (type 3: flags, interrupt) and the I/O APICs that serve them (type 1: ID,
//! address, first interrupt).

use latchwork_x86::NmiSource;
use latchwork_x86::acpi::{AcpiError, Madt};
use latchwork_x86::icr::ApicId;
use latchwork_x86::ioapic::{Delivery, Route};
use latchwork_x86::lapic::lvt::Polarity;
use latchwork_x86::nmi_lines::{IoApicNmi, WiringError, nmi_sources};
use proptest::prelude::*;

use crate::image::Image;

/// The one for 24 and up comes first.
const IO_APICS: [&[u8]; 2] = [
    &[1, 12, 2, 0, 0, 0x10, 0xC0, 0xFE, 24, 0, 0, 0],
    &[1, 12, 1, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0],
];

fn sources(entries: &[&[u8]]) -> Vec<Result<IoApicNmi, WiringError>> {
    let image = Image::of(entries);
    let madt = Madt::at(&image, 0).unwrap();
    nmi_sources(&madt).collect()
}

#[test]
fn each_source_has_the_pin_of_the_io_apic_that_serves_it() {
    let [second, first] = IO_APICS;
    let nmi =
        |address, pin, polarity, interrupt| Ok(IoApicNmi { address, pin, polarity, interrupt });
    let found = sources(&[
        second,
        &[3, 8, 0x07, 0, 23, 0, 0, 0], // active low, edge
        &[3, 8, 0x00, 0, 7, 0, 0, 0],  // as the bus, which is ISA
        first,
        &[3, 8, 0x00, 0, 24, 0, 0, 0],   // as the bus, which is PCI
        &[3, 8, 0x0D, 0, 0x17, 1, 0, 0], // active high, level
        &[3, 8, 0x0D, 0, 0x18, 1, 0, 0], // more pins away than there can be
    ]);
    assert_eq!(
        found,
        [
            nmi(0xFEC0_0000, 23, Polarity::ActiveLow, 23),
            nmi(0xFEC0_0000, 7, Polarity::ActiveHigh, 7),
            nmi(0xFEC0_1000, 0, Polarity::ActiveLow, 24),
            nmi(0xFEC0_1000, 0xFF, Polarity::ActiveHigh, 0x117),
            Err(WiringError::NoIoApic { interrupt: 0x118 }),
        ]
    );
    assert_eq!(sources(&IO_APICS), []);
}

#[test]
fn a_source_makes_a_route() {
    let nmi = IoApicNmi { address: 0, pin: 7, polarity: Polarity::ActiveLow, interrupt: 7 };
    let to = ApicId::from(3u8);
    let source = NmiSource::new(4);
    assert_eq!(
        nmi.route(source, to),
        Route { delivery: Delivery::Nmi(source), polarity: Polarity::ActiveLow, to }
    );
}

#[test]
fn a_source_that_no_io_apic_serves_is_an_error_and_the_others_are_found() {
    let [second, first] = IO_APICS;
    let low: &[u8] = &[3, 8, 0, 0, 5, 0, 0, 0];
    let high: &[u8] = &[3, 8, 0, 0, 30, 0, 0, 0];
    let error = WiringError::NoIoApic { interrupt: 5 };
    let found = sources(&[second, low, high]);
    assert_eq!(found[0], Err(error));
    assert_eq!(found[1].map(|nmi| nmi.pin), Ok(6));
    assert_eq!(
        error.to_string(),
        "MADT has an NMI source at global system interrupt 5, which no I/O APIC serves"
    );
    assert!(sources(&[second, first, low, high]).iter().all(Result::is_ok));
}

#[test]
fn reserved_and_contradictory_flags_are_errors() {
    let [_, first] = IO_APICS;
    let high: &[u8] = &[3, 8, 0x01, 0, 9, 0, 0, 0];
    let as_bus: &[u8] = &[3, 8, 0x00, 0, 9, 0, 0, 0];
    let low: &[u8] = &[3, 8, 0x03, 0, 9, 0, 0, 0];
    let reserved: &[u8] = &[3, 8, 0x02, 0, 9, 0, 0, 0];
    let contradiction = Err(WiringError::ContradictorySource { interrupt: 9 });
    assert_eq!(sources(&[first, high, low]), [contradiction, contradiction]);
    assert!(sources(&[first, high, as_bus]).iter().all(Result::is_ok));
    assert!(matches!(
        sources(&[first, reserved, high])[..],
        [Err(WiringError::ReservedSourceFlags { interrupt: 9, .. }), Ok(_)]
    ));
}

#[test]
fn a_malformed_entry_ends_the_iteration() {
    let [_, first] = IO_APICS;
    let good: &[u8] = &[3, 8, 0, 0, 5, 0, 0, 0];
    let bad: &[u8] = &[3, 7, 0, 0, 5, 0, 0];
    let table = AcpiError::EntryLength { kind: 3, offset: 56, bytes: 7, minimum_bytes: 8 };
    assert_eq!(sources(&[first, bad, good]), [Err(WiringError::Table(table))]);
}

proptest! {
    #[test]
    fn any_bytes_give_sources_or_errors(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let [second, first] = IO_APICS;
        prop_assert!(sources(&[&bytes]).len() <= bytes.len());
        let _ = sources(&[second, first, &bytes]);
    }
}
