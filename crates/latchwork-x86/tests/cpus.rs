// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of CPUs: local APIC entries (type 0: UID, APIC ID, flags) and local x2APIC entries
//! (type 9: APIC ID, flags, UID) of the MADT, by the ACPI Specification 6.5, sections 5.2.12.2 and
//! 5.2.12.12.

#[path = "nmi_lines/image.rs"]
mod image;
#[path = "madt/tables.rs"]
mod tables;

use std::collections::BTreeSet;

use image::Image;
use latchwork_x86::acpi::{AcpiError, CpuError, Madt};
use latchwork_x86::lapic::mode::ApicMode;
use proptest::prelude::*;

/// APIC ID and UID of each CPU.
fn listed(image: &Image) -> Vec<(u32, u32)> {
    let madt = Madt::at(image, 0).unwrap();
    madt.cpus().map(|cpu| cpu.map(|cpu| (cpu.apic_id.get(), cpu.processor_uid)).unwrap()).collect()
}

fn narrow(uid: u8, id: u8, flags: u8) -> Vec<u8> {
    vec![0, 8, uid, id, flags, 0, 0, 0]
}

fn wide(uid: u32, id: u32, flags: u8) -> Vec<u8> {
    [&[9, 16, 0, 0], &id.to_le_bytes()[..], &[flags, 0, 0, 0], &uid.to_le_bytes()].concat()
}

fn table(entries: &[Vec<u8>]) -> Image {
    let slices: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    Image::of(&slices)
}

const ENABLED: u8 = 1;
const ONLINE_CAPABLE: u8 = 2;

#[test]
fn cpus_of_tables_of_real_kinds() {
    for (hex, expected) in [
        (tables::CPUS_LISTED_TWICE, &[(0, 0), (1, 1)][..]),
        (tables::NMI_UIDS_ONE_TOO_HIGH, &[(0, 0), (2, 1)]),
        (tables::NMI_UIDS_ZERO_BASED, &[(0, 1), (1, 2), (2, 3), (3, 4)]),
        (tables::NO_NMI_ENTRY, &[(0, 0), (1, 1)]),
    ] {
        assert_eq!(listed(&tables::read(hex)), expected, "{hex}");
    }
}

#[test]
fn a_cpu_that_is_listed_twice_is_one_cpu() {
    for entries in [
        [narrow(1, 5, ENABLED), narrow(1, 5, ENABLED), narrow(2, 6, ENABLED)],
        [narrow(1, 5, ENABLED), narrow(2, 6, ENABLED), narrow(9, 5, ONLINE_CAPABLE)],
        [narrow(1, 5, ENABLED), narrow(2, 6, ENABLED), wide(1, 5, ENABLED)],
        [narrow(1, 5, ENABLED), wide(7, 5, ENABLED), narrow(2, 6, ENABLED)],
        [wide(7, 5, ENABLED), narrow(1, 5, ENABLED), narrow(2, 6, ENABLED)],
    ] {
        assert_eq!(listed(&table(&entries)), [(5, 1), (6, 2)], "{entries:?}");
    }
    let entries = [wide(1, 0x100, ENABLED), wide(2, 0x101, ENABLED), wide(3, 0x100, ENABLED)];
    assert_eq!(listed(&table(&entries)), [(0x100, 1), (0x101, 2)]);
}

/// "Valid": a CPU may have an entry of each kind, one of which is a place-holder.
#[test]
fn an_x2apic_entry_counts_where_no_valid_local_apic_entry_names_its_cpu() {
    let entries = [narrow(0, 0, ENABLED), narrow(1, 1, 0), narrow(2, 0xFF, ENABLED)];
    let entries = [
        &entries[..],
        &[wide(1, 1, ENABLED), wide(2, 2, ENABLED), wide(3, 0xFF, ENABLED), wide(4, 3, 0)],
    ];
    assert_eq!(listed(&table(&entries.concat())), [(0, 0), (1, 1), (2, 2), (0xFF, 3)]);
}

fn startable(image: &Image, mode: ApicMode) -> Vec<Result<u32, CpuError>> {
    let madt = Madt::at(image, 0).unwrap();
    madt.startable_cpus(mode).map(|cpu| cpu.map(|cpu| cpu.apic_id.get())).collect()
}

#[test]
fn a_cpu_that_the_mode_cannot_address_is_an_error_and_the_others_are_listed() {
    let entries =
        [wide(9, 255, ENABLED), narrow(1, 254, ENABLED), wide(3, 256, 0), wide(2, 256, ENABLED)];
    let image = table(&entries);
    assert_eq!(startable(&image, ApicMode::X2Apic), [Ok(255), Ok(254), Ok(256)]);
    let in_xapic_mode = startable(&image, ApicMode::XApic);
    let out_of_reach: Vec<_> = in_xapic_mode
        .iter()
        .map(|cpu| match cpu {
            Err(CpuError::OutOfReach { cpu, mode: ApicMode::XApic }) => Err(cpu.processor_uid),
            Err(error) => panic!("{error}"),
            Ok(id) => Ok(*id),
        })
        .collect();
    assert_eq!(out_of_reach, [Err(9), Ok(254), Err(2)]);
    assert_eq!(
        in_xapic_mode[2].unwrap_err().to_string(),
        "processor 2 cannot be started: APIC ID 0x100 cannot be addressed in xAPIC mode; \
         x2APIC mode reaches it"
    );
    assert!(startable(&image, ApicMode::Disabled).iter().all(Result::is_err));
}

#[test]
fn a_cpu_that_may_come_online_later_cannot_be_started_now() {
    let image = table(&[narrow(0, 0, ENABLED), narrow(1, 1, ONLINE_CAPABLE)]);
    assert_eq!(listed(&image), [(0, 0), (1, 1)]);
    assert_eq!(startable(&image, ApicMode::XApic), [Ok(0)]);
}

#[test]
fn a_malformed_entry_ends_the_list_and_what_comes_before_it_is_listed() {
    let bad = vec![0, 7, 2, 2, 1, 0, 0];
    let image = table(&[wide(1, 1, ENABLED), bad, narrow(1, 1, ENABLED)]);
    let error = AcpiError::EntryLength { kind: 0, offset: 60, bytes: 7, minimum_bytes: 8 };
    assert_eq!(startable(&image, ApicMode::X2Apic), [Ok(1), Err(CpuError::Table(error))]);
}

proptest! {
    /// Any mixture of entries for few APIC IDs gives each ID once, and none that no usable entry
    /// has.
    #[test]
    fn any_entries_list_each_cpu_once(
        entries in prop::collection::vec((any::<bool>(), 0..4u8, 0..4u8), 0..12),
    ) {
        let entries: Vec<Vec<u8>> = entries
            .iter()
            .zip(0u8..)
            .map(|(&(is_wide, id, flags), uid)| {
                if is_wide { wide(uid.into(), id.into(), flags) } else { narrow(uid, id, flags) }
            })
            .collect();
        let usable = |entry: &&Vec<u8>| entry[if entry[0] == 0 { 4 } else { 8 }] % 4 != 0;
        let id = |entry: &Vec<u8>| u32::from(entry[if entry[0] == 0 { 3 } else { 4 }]);
        let expected: BTreeSet<u32> = entries.iter().filter(usable).map(id).collect();
        let found: Vec<u32> = listed(&table(&entries)).iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
