// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local APIC NMI (type 4: UID, flags, LINT) and local x2APIC NMI entries (type 0AH: flags, UID,
//! LINT).

use latchwork_x86::acpi::{AcpiError, Madt, PinPolarity};
use latchwork_x86::lapic::lvt::{Lint, Polarity};
use latchwork_x86::nmi_lines::{LintNmis, WiringError};
use proptest::prelude::*;

use crate::image::Image;

type Pins = (Option<Polarity>, Option<Polarity>);

const HIGH: Option<Polarity> = Some(Polarity::ActiveHigh);
const LOW: Option<Polarity> = Some(Polarity::ActiveLow);

fn nmis(entries: &[&[u8]], uid: u32) -> Result<LintNmis, WiringError> {
    let image = Image::of(entries);
    LintNmis::of_cpu(&Madt::at(&image, 0).unwrap(), uid)
}

fn pins(entries: &[&[u8]], uid: u32) -> Result<Pins, WiringError> {
    nmis(entries, uid).map(|nmis| (nmis.at(Lint::Lint0), nmis.at(Lint::Lint1)))
}

#[test]
fn an_entry_for_all_is_for_every_cpu() {
    for all in [&[4, 6, 0xFF, 0, 0, 1][..], &[10, 12, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]] {
        for uid in [0, 1, 254, 255, 256, 0xFFFF_FFFE] {
            assert_eq!(pins(&[all], uid), Ok((None, HIGH)));
        }
    }
}

#[test]
fn an_entry_for_one_is_for_no_other() {
    let narrow: &[u8] = &[4, 6, 7, 0, 0, 0];
    let wide: &[u8] = &[10, 12, 0, 0, 0x07, 1, 0, 0, 1, 0, 0, 0];
    assert_eq!(pins(&[narrow, wide], 7), Ok((HIGH, None)));
    assert_eq!(pins(&[narrow, wide], 0x107), Ok((None, HIGH)));
    assert_eq!(pins(&[narrow, wide], 8), Ok((None, None)));
    // FFH means all in the narrow entry only, so CPU FFH has its wide one.
    let ff: &[u8] = &[10, 12, 0, 0, 0xFF, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(pins(&[ff], 0xFF), Ok((None, HIGH)));
    assert_eq!(pins(&[ff], 1), Ok((None, None)));
}

/// Flags: bits 1:0 polarity (0 as the bus, 1 high, 3 low), bits 3:2 trigger (0 as the bus, 1 edge,
/// 3 level).
#[test]
fn flags() {
    for (flags, expected) in [
        (0b0000, HIGH),
        (0b0001, HIGH),
        (0b0011, LOW),
        (0b0100, HIGH),
        (0b0101, HIGH),
        (0b0111, LOW),
        (0b1100, HIGH),
        (0b1101, HIGH),
        (0b1111, LOW),
    ] {
        assert_eq!(pins(&[&[4, 6, 0xFF, flags, 0, 1]], 0), Ok((None, expected)), "{flags:#06b}");
    }
    for flags in [0b0010, 0b0110, 0b1110, 0b1000, 0b1001, 0b1011] {
        let error = pins(&[&[4, 6, 0xFF, flags, 0, 1]], 3).unwrap_err();
        assert!(
            matches!(
                error,
                WiringError::ReservedLintFlags { processor_uid: 3, lint: Lint::Lint1, .. }
            ),
            "{flags:#06b}: {error:?}"
        );
    }
}

#[test]
fn a_pin_that_no_local_apic_has_is_an_error_for_the_cpu_that_it_is_for() {
    let good: &[u8] = &[4, 6, 0, 0, 0, 1];
    let filler: &[u8] = &[4, 6, 5, 0x0A, 0, 0xDB];
    assert_eq!(pins(&[good, filler], 0), Ok((None, HIGH)));
    let error = WiringError::NoSuchLint { processor_uid: 5, lint: 0xDB };
    assert_eq!(pins(&[good, filler], 5), Err(error));
    assert_eq!(
        error.to_string(),
        "MADT wires an NMI line to LINT219 of processor 5, but there are LINT0 and LINT1 only"
    );
}

#[test]
fn saying_it_twice_is_no_harm_and_contradicting_is() {
    let all_high: &[u8] = &[4, 6, 0xFF, 0x05, 0, 1];
    let one_as_bus: &[u8] = &[4, 6, 2, 0, 0, 1];
    let one_low: &[u8] = &[10, 12, 0x0F, 0, 2, 0, 0, 0, 1, 0, 0, 0];
    let other_pin: &[u8] = &[4, 6, 2, 0x03, 0, 0];
    assert_eq!(pins(&[all_high, one_as_bus, all_high], 2), Ok((None, HIGH)));
    assert_eq!(pins(&[all_high, other_pin], 2), Ok((LOW, HIGH)));
    let error = WiringError::ContradictoryLint { processor_uid: 2, lint: Lint::Lint1 };
    assert_eq!(pins(&[all_high, one_low], 2), Err(error));
    assert_eq!(pins(&[one_low, all_high], 2), Err(error));
    assert_eq!(pins(&[all_high, one_low], 3), Ok((None, HIGH)));
    assert_eq!(
        error.to_string(),
        "MADT has two polarities for the NMI line at Lint1 of processor 2"
    );
}

#[test]
fn a_malformed_table_is_an_error_even_behind_a_good_entry() {
    let good: &[u8] = &[4, 6, 0xFF, 0, 0, 1];
    let error = AcpiError::EntryLength { kind: 4, offset: 50, bytes: 5, minimum_bytes: 6 };
    assert_eq!(pins(&[good, &[4, 5, 0, 0, 0]], 0), Err(WiringError::Table(error)));
}

#[test]
fn the_result_reads_well() {
    let text = |entries: &[&[u8]]| nmis(entries, 4).unwrap().to_string();
    assert_eq!(text(&[]), "processor 4: MADT wires no NMI line to LINT0 or LINT1");
    assert!(nmis(&[], 4).unwrap().is_empty());
    assert_eq!(text(&[&[4, 6, 0xFF, 0, 0, 1]]), "processor 4: NMI line at LINT1 (active high)");
    assert_eq!(
        text(&[&[4, 6, 0xFF, 0, 0, 1], &[4, 6, 4, 3, 0, 0]]),
        "processor 4: NMI line at LINT0 (active low) and LINT1 (active high)"
    );
}

proptest! {
    /// Entries that are well-formed as such, with any contents: an error, or pins on which every
    /// entry for this CPU agrees.
    #[test]
    fn any_entries_give_wiring_or_an_error(
        entries in prop::collection::vec((any::<bool>(), 0..4u8, any::<u8>(), 0..3u8), 0..6),
        uid in 0..4u32,
    ) {
        let bytes: Vec<Vec<u8>> = entries
            .iter()
            .map(|&(wide, uid, flags, lint)| match (wide, uid) {
                (false, 3) => vec![4, 6, 0xFF, flags, 0, lint],
                (false, _) => vec![4, 6, uid, flags, 0, lint],
                (true, 3) => vec![10, 12, flags, 0, 0xFF, 0xFF, 0xFF, 0xFF, lint, 0, 0, 0],
                (true, _) => vec![10, 12, flags, 0, uid, 0, 0, 0, lint, 0, 0, 0],
            })
            .collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mine = entries.iter().filter(|(_, named, ..)| *named == 3 || u32::from(*named) == uid);
        let levels: Vec<_> = mine
            .map(|&(_, _, flags, lint)| {
                let bad = flags % 4 == 2 || flags / 4 % 4 == 2 || lint > 1;
                (bad, lint, flags % 4 == 3)
            })
            .collect();
        let bad = levels.iter().any(|(bad, ..)| *bad)
            || [0, 1].iter().any(|pin| {
                let of_pin: Vec<_> =
                    levels.iter().filter(|(_, lint, _)| lint == pin).map(|(.., low)| low).collect();
                of_pin.windows(2).any(|pair| pair[0] != pair[1])
            });
        match pins(&slices, uid) {
            Err(_) => prop_assert!(bad),
            Ok((lint0, lint1)) => {
                prop_assert!(!bad);
                for (pin, polarity) in [(0, lint0), (1, lint1)] {
                    let found = levels.iter().find(|(_, lint, _)| *lint == pin);
                    prop_assert_eq!(polarity, found.map(|(.., low)| if *low { LOW } else { HIGH }.unwrap()));
                }
            }
        }
    }

    #[test]
    fn any_bytes_give_wiring_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        uid in any::<u32>(),
    ) {
        let _ = pins(&[&bytes], uid);
    }
}

#[test]
fn the_flags_are_kept_for_the_message() {
    let Err(WiringError::ReservedLintFlags { flags, .. }) = pins(&[&[4, 6, 0, 2, 0, 0]], 0) else {
        panic!("2 is a reserved polarity")
    };
    assert_eq!(flags.polarity(), PinPolarity::Reserved);
}
