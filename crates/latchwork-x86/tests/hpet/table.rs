// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI table of an HPET (section 3.2.4).

use latchwork_x86::acpi::{AcpiError, HpetTable, Signature};
use latchwork_x86::hw::{PhysicalMemory, Unreadable};
use proptest::prelude::*;

const HPET: Signature = Signature(*b"HPET");

/// Physical memory that has the table at address 16.
struct Image(Vec<u8>);

impl PhysicalMemory for Image {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(address).map_err(|_| Unreadable)?;
        let end = start.checked_add(buffer.len()).ok_or(Unreadable)?;
        buffer.copy_from_slice(self.0.get(start..end).ok_or(Unreadable)?);
        Ok(())
    }
}

/// A table with `body` behind its header.
fn parse(body: &[u8]) -> Result<HpetTable, AcpiError> {
    let length = u8::try_from(36 + body.len()).unwrap();
    let mut table = [b"HPET".as_slice(), &[length, 0, 0, 0, 1, 0], &[0; 26], body].concat();
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    table[9] = 0u8.wrapping_sub(sum);
    HpetTable::at(&Image([&[0; 16], table.as_slice()].concat()), 16)
}

/// Block ID; address space 0, 64 bits wide, at offset 0; address FED0_0000H; number 1; 0x80 ticks.
const GOOD: [u8; 20] =
    [0x01, 0xA2, 0x86, 0x80, 0, 64, 0, 0, 0, 0, 0xD0, 0xFE, 0, 0, 0, 0, 1, 0x80, 0x01, 0];

#[test]
fn a_good_table() {
    let table = parse(&GOOD).unwrap();
    assert_eq!(table.address(), 0xFED0_0000);
    assert_eq!((table.number(), table.minimum_ticks()), (1, 0x180));
    let longer = [&GOOD[..], &[9, 9]].concat();
    assert_eq!(parse(&longer), Ok(table));
}

#[test]
fn a_short_table_and_impossible_addresses_are_refused() {
    assert_eq!(parse(&GOOD[..19]), Err(AcpiError::TableLength { signature: HPET, bytes: 55 }));
    for (changes, space, address) in [
        (&[(4, 1)][..], 1, 0xFED0_0000), // in I/O space
        (&[(8, 2)], 0, 0xFED0_0002),
        (&[(10, 0), (11, 0)], 0, 0),
    ] {
        let mut body = GOOD;
        for &(at, value) in changes {
            body[at] = value;
        }
        let error = AcpiError::RegisterAddress { signature: HPET, space, address };
        assert_eq!(parse(&body), Err(error));
    }
    assert_eq!(
        AcpiError::RegisterAddress { signature: HPET, space: 1, address: 0x60 }.to_string(),
        "table HPET puts registers at 0x60 in address space 1, where they cannot be"
    );
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_an_error(body in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(table) = parse(&body) {
            prop_assert!(table.address() != 0 && table.address() % 4 == 0);
        }
        let _ = HpetTable::at(&Image(body), 16);
    }
}
