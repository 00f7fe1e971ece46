// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local APIC NMI (type 4: UID, flags, LINT) and local x2APIC NMI entries (type 0AH: flags, UID,
//! LINT).

use latchwork_x86::acpi::{AcpiError, Madt, PinPolarity};
use latchwork_x86::lapic::lvt::{Lint, Polarity};
use latchwork_x86::nmi_lines::{LintNmis, NoLine, WiringError};
use proptest::prelude::*;

use crate::image::Image;
use crate::tables;

type Pins = (Option<Polarity>, Option<Polarity>);

const HIGH: Option<Polarity> = Some(Polarity::ActiveHigh);
const LOW: Option<Polarity> = Some(Polarity::ActiveLow);

fn nmis(entries: &[&[u8]], uid: u32) -> Result<LintNmis, NoLine> {
    let image = Image::of(entries);
    LintNmis::of_cpu(&Madt::at(&image, 0).unwrap(), uid)
}

fn pins(entries: &[&[u8]], uid: u32) -> Result<Pins, NoLine> {
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
    assert!(pins(&[narrow, wide], 8).is_err());
    // FFH means all in the narrow entry only, so CPU FFH has its wide one.
    let ff: &[u8] = &[10, 12, 0, 0, 0xFF, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(pins(&[ff], 0xFF), Ok((None, HIGH)));
    assert!(pins(&[ff], 1).is_err());
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
                NoLine::BadEntries(WiringError::ReservedLintFlags {
                    processor_uid: 3,
                    lint: Lint::Lint1,
                    ..
                })
            ),
            "{flags:#06b}: {error:?}"
        );
    }
}

/// The first bad entry is kept, and does not hide a good one.
fn fault(entries: &[&[u8]], uid: u32) -> WiringError {
    nmis(entries, uid).unwrap().fault().expect("an entry is bad")
}

#[test]
fn a_pin_that_no_local_apic_has_is_an_error_for_the_cpu_that_it_is_for() {
    let good: &[u8] = &[4, 6, 0, 0, 0, 1];
    let filler: &[u8] = &[4, 6, 5, 0x0A, 0, 0xDB];
    assert_eq!(pins(&[good, filler], 0), Ok((None, HIGH)));
    assert_eq!(nmis(&[good, filler], 0).unwrap().fault(), None);
    let error = WiringError::NoSuchLint { processor_uid: 5, lint: 0xDB };
    assert_eq!(pins(&[good, filler], 5), Err(NoLine::BadEntries(error)));
    let own: &[u8] = &[4, 6, 5, 0, 0, 1];
    assert_eq!(pins(&[filler, own], 5), Ok((None, HIGH)));
    assert_eq!(fault(&[filler, own], 5), error);
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
    for order in [[all_high, one_low], [one_low, all_high]] {
        assert_eq!(pins(&order, 2), Err(NoLine::BadEntries(error)));
        assert_eq!(pins(&[&order[..], &[all_high]].concat(), 2), Err(NoLine::BadEntries(error)));
        let with_other_pin = [&order[..], &[other_pin]].concat();
        assert_eq!(pins(&with_other_pin, 2), Ok((LOW, None)), "the other pin is not in doubt");
        assert_eq!(fault(&with_other_pin, 2), error);
        assert_eq!(nmis(&order, 3), nmis(&[all_high], 3), "nor is another CPU");
    }
    assert_eq!(
        error.to_string(),
        "MADT has two polarities for the NMI line at Lint1 of processor 2"
    );
}

/// One bad entry for all CPUs costs nobody what good entries give.
#[test]
fn a_bad_entry_for_all_blocks_no_cpu() {
    for bad in [&[4, 6, 0xFF, 0x0A, 0, 1][..], &[4, 6, 0xFF, 0, 0, 2]] {
        for uid in 0..3 {
            let own: &[u8] = &[4, 6, uid, 0x05, 0, 1];
            for order in [[bad, own], [own, bad]] {
                assert_eq!(pins(&order, uid.into()), Ok((None, HIGH)));
                let _ = fault(&order, uid.into());
            }
        }
    }
}

#[test]
fn what_comes_before_a_malformed_entry_counts() {
    let good: &[u8] = &[4, 6, 1, 0, 0, 1];
    let error = AcpiError::EntryLength { kind: 4, offset: 50, bytes: 5, minimum_bytes: 6 };
    let entries = [good, &[4, 5, 0, 0, 0]];
    assert_eq!(pins(&entries, 1), Ok((None, HIGH)));
    assert_eq!(fault(&entries, 1), WiringError::Table(error));
    assert_eq!(pins(&entries, 0), Err(NoLine::BadEntries(WiringError::Table(error))));
}

/// The boot CPU's UID in each table, and what is known of its line.
#[test]
fn nmi_lines_of_tables_of_real_kinds() {
    let wiring = |hex, uid| {
        let image = tables::read(hex);
        LintNmis::of_cpu(&Madt::at(&image, 0).unwrap(), uid)
    };
    let absent =
        |processor_uid, absent_uid| Err(NoLine::NamesAbsentCpu { processor_uid, absent_uid });
    for (hex, uid, expected) in [
        (tables::CPUS_LISTED_TWICE, 0, Ok((None, HIGH))),
        (tables::CPUS_LISTED_TWICE, 1, Ok((None, HIGH))),
        (tables::NO_NMI_ENTRY, 0, Err(NoLine::SilentTable { processor_uid: 0 })),
        (tables::NO_NMI_ENTRY, 1, Err(NoLine::SilentTable { processor_uid: 1 })),
        (tables::NMI_UIDS_ONE_TOO_HIGH, 0, absent(0, 2)),
        (tables::NMI_UIDS_ONE_TOO_HIGH, 1, Ok((None, HIGH))),
        (tables::NMI_UIDS_ZERO_BASED, 1, Ok((None, HIGH))),
        (tables::NMI_UIDS_ZERO_BASED, 2, absent(2, 0)),
        (tables::NMI_UIDS_ZERO_BASED, 4, absent(4, 0)),
    ] {
        let found = wiring(hex, uid).map(|nmis| (nmis.at(Lint::Lint0), nmis.at(Lint::Lint1)));
        assert_eq!(found, expected, "processor {uid} of {hex}");
        if let Err(reason) = found {
            assert!(reason.allows_traditional());
        }
    }
}

#[test]
fn a_uid_that_only_a_dropped_duplicate_has_is_nobodys() {
    let cpu: &[u8] = &[0, 8, 1, 0, 1, 0, 0, 0];
    let same_cpu: &[u8] = &[9, 16, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0];
    let nmi: &[u8] = &[4, 6, 5, 0, 0, 1];
    let reason = NoLine::NamesAbsentCpu { processor_uid: 1, absent_uid: 5 };
    assert_eq!(pins(&[cpu, same_cpu, nmi], 1), Err(reason));
}

#[test]
fn a_cpu_that_is_left_out_of_a_sound_table_has_no_line() {
    let cpus: [&[u8]; 3] =
        [&[0, 8, 0, 0, 1, 0, 0, 0], &[0, 8, 1, 1, 1, 0, 0, 0], &[0, 8, 2, 2, 0, 0, 0, 0]];
    let first_only: &[u8] = &[4, 6, 0, 0, 0, 1];
    let sound = [&cpus[..], &[first_only]].concat();
    assert_eq!(pins(&sound, 1), Err(NoLine::NotHere { processor_uid: 1 }));
    assert!(!NoLine::NotHere { processor_uid: 1 }.allows_traditional());
    // The third CPU cannot be used, so an entry for it is one for a CPU that is not there.
    let absent: &[u8] = &[10, 12, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0];
    let reason = NoLine::NamesAbsentCpu { processor_uid: 1, absent_uid: 2 };
    assert_eq!(pins(&[&sound[..], &[absent]].concat(), 1), Err(reason));
    // An entry that nobody can use says nothing about who is there.
    let filler: &[u8] = &[4, 6, 9, 0x0A, 0, 0xDB];
    assert_eq!(
        pins(&[&sound[..], &[filler]].concat(), 1),
        Err(NoLine::NotHere { processor_uid: 1 })
    );
    assert_eq!(
        pins(&[&cpus[..], &[filler]].concat(), 1),
        Err(NoLine::SilentTable { processor_uid: 1 })
    );
    let bad = NoLine::BadEntries(WiringError::NoSuchLint { processor_uid: 9, lint: 0xDB });
    assert_eq!(pins(&[&cpus[..], &[filler]].concat(), 9), Err(bad));
    assert!(!bad.allows_traditional());
}

#[test]
fn the_traditional_wiring_is_lint1_active_high() {
    let nmis = LintNmis::traditional(7);
    assert_eq!((nmis.at(Lint::Lint0), nmis.at(Lint::Lint1)), (None, HIGH));
    assert_eq!(nmis.fault(), None);
    assert_eq!(nmis.to_string(), "processor 7: NMI line at LINT1 (active high)");
}

#[test]
fn results_and_reasons_read_well() {
    let text = |entries: &[&[u8]]| match nmis(entries, 4) {
        Ok(nmis) => nmis.to_string(),
        Err(reason) => reason.to_string(),
    };
    let cpu: &[u8] = &[0, 8, 4, 0, 1, 0, 0, 0];
    let other: &[u8] = &[0, 8, 6, 1, 1, 0, 0, 0];
    let for_other: &[u8] = &[4, 6, 6, 0, 0, 1];
    for (entries, expected) in [
        (&[cpu][..], "processor 4: MADT says nothing of NMI lines"),
        (
            &[cpu, for_other],
            "processor 4: MADT wires no NMI line to it, but one to processor 6, which is not \
             there",
        ),
        (&[cpu, other, for_other], "processor 4: MADT wires no NMI line to LINT0 or LINT1"),
        (
            &[&[4, 6, 4, 0, 0, 2]],
            "MADT wires an NMI line to LINT2 of processor 4, but there are LINT0 and LINT1 only",
        ),
        (&[&[4, 6, 0xFF, 0, 0, 1]], "processor 4: NMI line at LINT1 (active high)"),
        (
            &[&[4, 6, 0xFF, 0, 0, 1], &[4, 6, 4, 3, 0, 0]],
            "processor 4: NMI line at LINT0 (active low) and LINT1 (active high)",
        ),
        (
            &[&[4, 6, 0xFF, 0, 0, 1], &[4, 6, 4, 3, 0, 2]],
            "processor 4: NMI line at LINT1 (active high); a bad entry was left out: MADT wires an \
             NMI line to LINT2 of processor 4, but there are LINT0 and LINT1 only",
        ),
    ] {
        assert_eq!(text(entries), expected);
    }
}

proptest! {
    /// Entries that are well-formed as such, with any contents: each pin of this CPU on which all
    /// good entries agree, and the first fault if there is any.
    #[test]
    fn any_entries_give_the_pins_that_are_not_in_doubt(
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
        let mine: Vec<_> = entries
            .iter()
            .filter(|(_, named, ..)| *named == 3 || u32::from(*named) == uid)
            .map(|&(_, _, flags, lint)| {
                let good = flags % 4 != 2 && flags / 4 % 4 != 2 && lint < 2;
                (good, lint, if flags % 4 == 3 { LOW } else { HIGH })
            })
            .collect();
        let said = |pin: u8| -> Vec<_> {
            let good = mine.iter().filter(|(good, lint, _)| *good && *lint == pin);
            good.map(|(.., polarity)| *polarity).collect()
        };
        let pin = |number| match &said(number)[..] {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => *first,
            _ => None,
        };
        let contradicts = |number| pin(number).is_none() && !said(number).is_empty();
        let any_fault = mine.iter().any(|(good, ..)| !good) || contradicts(0) || contradicts(1);
        match nmis(&slices, uid) {
            Ok(found) => {
                prop_assert_eq!((found.at(Lint::Lint0), found.at(Lint::Lint1)), (pin(0), pin(1)));
                prop_assert!(pin(0).is_some() || pin(1).is_some());
                prop_assert_eq!(found.fault().is_some(), any_fault);
            }
            Err(reason) => {
                prop_assert_eq!((None, None), (pin(0), pin(1)));
                prop_assert_eq!(matches!(reason, NoLine::BadEntries(_)), any_fault);
                prop_assert_eq!(reason.allows_traditional(), mine.is_empty());
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
    let Err(NoLine::BadEntries(WiringError::ReservedLintFlags { flags, .. })) =
        pins(&[&[4, 6, 0, 2, 0, 0]], 0)
    else {
        panic!("2 is a reserved polarity")
    };
    assert_eq!(flags.polarity(), PinPolarity::Reserved);
}
