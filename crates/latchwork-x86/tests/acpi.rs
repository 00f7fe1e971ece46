// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI parser: tables built by hand from the ACPI Specification 6.5, each way in which they
//! can be wrong, and any bytes at all.

use latchwork_x86::acpi::{
    AcpiError, Madt, MadtEntry, PinPolarity, PinTrigger, RootTable, Rsdp, Signature, Table,
};
use latchwork_x86::hw::{PhysicalMemory, Unreadable};
use proptest::prelude::*;

const RSDP: usize = 0x40;
const RSDT: usize = 0x100;
const XSDT: usize = 0x180;
const OTHER: usize = 0x200;
const MADT: usize = 0x280;
const APIC: Signature = Signature(*b"APIC");

/// Physical memory from address 0.
#[derive(Clone)]
struct Image(Vec<u8>);

impl PhysicalMemory for Image {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(address).map_err(|_| Unreadable)?;
        let end = start.checked_add(buffer.len()).ok_or(Unreadable)?;
        buffer.copy_from_slice(self.0.get(start..end).ok_or(Unreadable)?);
        Ok(())
    }
}

impl Image {
    fn put(&mut self, address: usize, bytes: &[u8]) {
        let end = address + bytes.len();
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[address..end].copy_from_slice(bytes);
    }

    /// Makes the bytes of a range sum up to 0 by changing the one at `checksum`.
    fn seal(&mut self, address: usize, length: usize, checksum: usize) {
        self.0[address + checksum] = 0;
        let sum =
            self.0[address..address + length].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        self.0[address + checksum] = 0u8.wrapping_sub(sum);
    }

    fn put_table(&mut self, address: usize, signature: &[u8; 4], body: &[u8]) {
        let length = 36 + body.len();
        let mut header = [0u8; 36];
        header[..4].copy_from_slice(signature);
        header[4..8].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        header[8] = 1;
        header[10..16].copy_from_slice(b"LATCHW");
        self.put(address, &header);
        self.put(address + 36, body);
        self.seal(address, length, 9);
    }

    fn put_madt(&mut self, entries: &[u8]) {
        let body = [&0xFEE0_0000u32.to_le_bytes(), &1u32.to_le_bytes(), entries].concat();
        self.put_table(MADT, b"APIC", &body);
    }

    fn put_rsdp(&mut self, revision: u8, rsdt: usize, xsdt: usize) {
        let mut rsdp = [0u8; 36];
        rsdp[..8].copy_from_slice(b"RSD PTR ");
        rsdp[15] = revision;
        rsdp[16..20].copy_from_slice(&u32::try_from(rsdt).unwrap().to_le_bytes());
        rsdp[20..24].copy_from_slice(&36u32.to_le_bytes());
        rsdp[24..32].copy_from_slice(&(xsdt as u64).to_le_bytes());
        self.put(RSDP, &rsdp);
        self.seal(RSDP, 20, 8);
        self.seal(RSDP, 36, 32);
    }

    /// A machine with both root tables, another table, and a MADT with `entries`.
    fn machine(entries: &[u8]) -> Self {
        let mut image = Self(Vec::new());
        image.put_rsdp(2, RSDT, XSDT);
        let pointers_32 = [OTHER as u32, MADT as u32].map(u32::to_le_bytes).concat();
        image.put_table(RSDT, b"RSDT", &pointers_32);
        let pointers_64 =
            [0xFFFF_FFFF_FFFF_FFF0u64, OTHER as u64, MADT as u64].map(u64::to_le_bytes).concat();
        image.put_table(XSDT, b"XSDT", &pointers_64);
        image.put_table(OTHER, b"HPET", &[0; 20]);
        image.put_madt(entries);
        image
    }

    fn entries(&self) -> Result<Vec<MadtEntry>, AcpiError> {
        let rsdp = Rsdp::read(self, RSDP as u64)?;
        Madt::find(self, &rsdp)?.entries().collect()
    }
}

/// Two CPUs and one not enabled, an I/O APIC, and one entry of each other kind.
const ENTRIES: &[&[u8]] = &[
    &[0, 8, 0, 0, 1, 0, 0, 0],
    &[0, 8, 1, 1, 2, 0, 0, 0],
    &[0, 8, 2, 0xFF, 0, 0, 0, 0],
    &[1, 12, 4, 0, 0x00, 0x00, 0xC0, 0xFE, 24, 0, 0, 0],
    &[2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0],
    &[3, 8, 0x05, 0, 7, 0, 0, 0],
    &[4, 6, 0xFF, 0x00, 0x00, 1],
    &[5, 12, 0, 0, 0x00, 0x00, 0xE0, 0xFE, 0x01, 0x00, 0x00, 0x00],
    &[0x7F, 5, 1, 2, 3],
    &[9, 16, 0, 0, 0x34, 0x12, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0],
    &[10, 12, 0x0F, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0],
    // One byte longer than the specification has it.
    &[4, 7, 0, 0x02, 0x00, 0, 0xAA],
];

#[test]
fn every_kind_of_entry_is_decoded() {
    let entries = Image::machine(&ENTRIES.concat()).entries().unwrap();
    assert_eq!(entries.len(), ENTRIES.len());
    let mut offset = 44;
    for (entry, bytes) in entries.iter().zip(ENTRIES) {
        match *entry {
            MadtEntry::LocalApic { processor_uid: 0, apic_id, flags } => {
                assert!(flags.is_enabled() && apic_id == 0);
            }
            MadtEntry::LocalApic { processor_uid: 1, apic_id, flags } => {
                assert!(!flags.is_enabled() && flags.is_online_capable() && apic_id == 1);
            }
            MadtEntry::LocalApic { processor_uid, apic_id, flags } => {
                assert!(!flags.is_enabled() && !flags.is_online_capable());
                assert_eq!((processor_uid, apic_id), (2, 0xFF));
            }
            MadtEntry::IoApic { io_apic_id, address, first_interrupt } => {
                assert_eq!((io_apic_id, address, first_interrupt), (4, 0xFEC0_0000, 24));
            }
            MadtEntry::InterruptSourceOverride { bus, source, interrupt, flags } => {
                assert_eq!((bus, source, interrupt), (0, 9, 9));
                assert_eq!(
                    (flags.polarity(), flags.trigger()),
                    (PinPolarity::ActiveHigh, PinTrigger::Level)
                );
            }
            MadtEntry::NmiSource { flags, interrupt } => {
                assert_eq!(interrupt, 7);
                assert_eq!(
                    (flags.polarity(), flags.trigger()),
                    (PinPolarity::ActiveHigh, PinTrigger::Edge)
                );
            }
            MadtEntry::LocalApicNmi { processor_uid: 0xFF, flags, lint } => {
                assert_eq!(lint, 1);
                assert_eq!(
                    (flags.polarity(), flags.trigger()),
                    (PinPolarity::AsBus, PinTrigger::AsBus)
                );
            }
            MadtEntry::LocalApicNmi { processor_uid, flags, lint } => {
                assert_eq!((processor_uid, lint), (0, 0));
                assert_eq!(flags.polarity(), PinPolarity::Reserved);
            }
            MadtEntry::LocalApicAddress { address } => assert_eq!(address, 0x1_FEE0_0000),
            MadtEntry::LocalX2Apic { apic_id, flags, processor_uid } => {
                assert_eq!((apic_id, processor_uid), (0x1234, 3));
                assert!(flags.is_enabled());
            }
            MadtEntry::LocalX2ApicNmi { flags, processor_uid, lint } => {
                assert_eq!((processor_uid, lint), (0xFFFF_FFFF, 1));
                assert_eq!(
                    (flags.polarity(), flags.trigger()),
                    (PinPolarity::ActiveLow, PinTrigger::Level)
                );
            }
            MadtEntry::Other { kind, offset: at, bytes } => {
                assert_eq!((kind, at, bytes), (0x7F, offset, 5));
            }
            _ => panic!("unexpected {entry:?}"),
        }
        offset += u32::try_from(bytes.len()).unwrap();
    }
    let kinds: std::collections::HashSet<_> = entries.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 9, "nine kinds of entries");
}

#[test]
fn cpus_are_those_that_can_be_used() {
    let image = Image::machine(&ENTRIES.concat());
    let madt = Madt::at(&image, MADT as u64).unwrap();
    let cpus: Vec<_> =
        madt.cpus().map(|cpu| cpu.map(|cpu| (cpu.apic_id.get(), cpu.processor_uid))).collect();
    assert_eq!(cpus, [Ok((0, 0)), Ok((1, 1)), Ok((0x1234, 3))]);
}

#[test]
fn the_local_apic_address_may_be_overridden() {
    let image = Image::machine(&ENTRIES.concat());
    assert_eq!(Madt::at(&image, MADT as u64).unwrap().local_apic_address(), Ok(0x1_FEE0_0000));
    let image = Image::machine(ENTRIES[0]);
    assert_eq!(Madt::at(&image, MADT as u64).unwrap().local_apic_address(), Ok(0xFEE0_0000));
}

#[test]
fn either_root_table_leads_to_the_madt() {
    let mut image = Image::machine(ENTRIES[0]);
    for (revision, xsdt, root) in [
        (2, XSDT, RootTable::Xsdt(XSDT as u64)),
        (2, 0, RootTable::Rsdt(RSDT as u64)),
        (0, XSDT, RootTable::Rsdt(RSDT as u64)), // ACPI 1.0 has no XSDT field
    ] {
        image.put_rsdp(revision, RSDT, xsdt);
        let rsdp = Rsdp::read(&image, RSDP as u64).unwrap();
        assert_eq!((rsdp.revision(), rsdp.root()), (revision, root));
        let table = Table::find(&image, &rsdp, APIC).unwrap();
        assert_eq!((table.address(), table.bytes(), table.signature()), (MADT as u64, 52, APIC));
    }
}

fn error_after(change: impl FnOnce(&mut Image)) -> AcpiError {
    let mut image = Image::machine(ENTRIES[0]);
    change(&mut image);
    image.entries().expect_err("the table is bad now")
}

#[test]
fn what_is_wrong_with_the_rsdp_is_said() {
    let address = RSDP as u64;
    assert_eq!(error_after(|image| image.0[RSDP] = b'X'), AcpiError::NotAnRsdp { address });
    assert_eq!(
        error_after(|image| image.0[RSDP + 9] ^= 1),
        AcpiError::RsdpChecksum { bytes: 20, sum: 1 }
    );
    assert_eq!(
        error_after(|image| image.0[RSDP + 33] = 3),
        AcpiError::RsdpChecksum { bytes: 36, sum: 3 }
    );
    assert_eq!(error_after(|image| image.0[RSDP + 20] = 35), AcpiError::RsdpLength { bytes: 35 });
    assert_eq!(error_after(|image| image.put_rsdp(2, 0, 0)), AcpiError::NoRootTable);
    assert_eq!(
        error_after(|image| image.0.truncate(RSDP + 10)),
        AcpiError::Unreadable { address, bytes: 20 }
    );
}

#[test]
fn what_is_wrong_with_a_table_is_said() {
    assert_eq!(
        error_after(|image| image.0[XSDT] = b'Y'),
        AcpiError::WrongSignature {
            address: XSDT as u64,
            expected: Signature(*b"XSDT"),
            found: Signature(*b"YSDT"),
        }
    );
    let xsdt_error = |bytes| AcpiError::TableLength { signature: Signature(*b"XSDT"), bytes };
    assert_eq!(error_after(|image| image.put_table(XSDT, b"XSDT", &[0; 12])), xsdt_error(48));
    assert_eq!(error_after(|image| image.put(XSDT + 4, &[35, 0, 0, 0])), xsdt_error(35));
    assert_eq!(error_after(|image| image.put(XSDT + 4, &[0xFF; 4])), xsdt_error(u32::MAX));
    assert_eq!(
        error_after(|image| image.0[MADT + 40] ^= 2),
        AcpiError::TableChecksum { signature: APIC, sum: 2 }
    );
    assert_eq!(
        error_after(|image| image.put_table(MADT, b"APIC", &[0; 7])),
        AcpiError::TableLength { signature: APIC, bytes: 43 }
    );
    assert_eq!(
        error_after(|image| image.put_table(MADT, b"XXXX", &[])),
        AcpiError::NotFound { signature: APIC }
    );
}

#[test]
fn what_is_wrong_with_an_entry_is_said_and_ends_the_iteration() {
    let good = ENTRIES[0];
    for (bad, error) in [
        (&[0u8, 0][..], AcpiError::EntryLength { kind: 0, offset: 52, bytes: 0, minimum_bytes: 8 }),
        (
            &[0, 7, 0, 0, 0, 0, 0, 0],
            AcpiError::EntryLength { kind: 0, offset: 52, bytes: 7, minimum_bytes: 8 },
        ),
        (&[0x7F, 1], AcpiError::EntryLength { kind: 0x7F, offset: 52, bytes: 1, minimum_bytes: 2 }),
        (&[9, 16, 0, 0], AcpiError::EntryTruncated { offset: 52, left_bytes: 4 }),
        (&[9], AcpiError::EntryTruncated { offset: 52, left_bytes: 1 }),
    ] {
        let image = Image::machine(&[good, bad].concat());
        let madt = Madt::at(&image, MADT as u64).unwrap();
        let entries: Vec<_> = madt.entries().collect();
        assert_eq!(entries.len(), 2, "{bad:?}");
        assert_eq!(entries[1], Err(error));
        assert_eq!(madt.cpus().count(), 2);
    }
}

#[test]
fn errors_read_well() {
    let error = error_after(|image| image.put_madt(&[0, 7, 0, 0, 0, 0, 0, 0]));
    assert_eq!(
        error.to_string(),
        "MADT entry of type 0 at offset 44 declares 7 bytes, but has at least 8"
    );
    let error = error_after(|image| image.0[XSDT] = 0xFF);
    assert_eq!(error.to_string(), "expected table XSDT at physical address 0x180, found \\xffSDT");
}

/// Goes everywhere the parser can go.
fn walk(image: &Image) {
    if let Ok(rsdp) = Rsdp::read(image, RSDP as u64) {
        let _ = Table::find(image, &rsdp, APIC);
    }
    if let Ok(madt) = Madt::at(image, MADT as u64) {
        let _ = madt.local_apic_address();
        assert!(madt.entries().count() <= image.0.len());
        assert!(madt.cpus().count() <= image.0.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..0x400)) {
        walk(&Image(bytes));
    }

    #[test]
    fn any_entries_give_a_value_or_an_error(entries in prop::collection::vec(any::<u8>(), 0..200)) {
        walk(&Image::machine(&entries));
    }

    /// A few bytes of a good machine are changed, and the sums made right again, so that the damage
    /// gets through to the parser.
    #[test]
    fn any_damage_gives_a_value_or_an_error(
        damage in prop::collection::vec((RSDP..MADT + 0x80, any::<u8>()), 1..6),
        length in RSDP..MADT + 0x100,
    ) {
        let mut image = Image::machine(&ENTRIES.concat());
        for (at, value) in damage {
            image.put(at, &[value]);
        }
        image.put(MADT + 0x100, &[0]);
        image.seal(RSDP, 20, 8);
        image.seal(RSDP, 36, 32);
        for (table, checksum) in [(RSDT, 9), (XSDT, 9), (MADT, 9)] {
            let length = image.0[table + 4..table + 8].try_into().unwrap();
            let declared = u32::from_le_bytes(length) as usize;
            if (36..=image.0.len() - table).contains(&declared) {
                image.seal(table, declared, checksum);
            }
        }
        walk(&image);
        image.0.truncate(length);
        walk(&image);
    }
}
