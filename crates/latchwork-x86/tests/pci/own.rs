// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers that a device defines itself, from offset 40H on (section 6.1): they are read and
//! written by the width that the device gives them, and only there.

use latchwork_x86::pci::{ConfigSpace, Identity, PciError};
use proptest::prelude::*;

use crate::model::{Buses, Function, Place, address, driver};

type Space<'b> = ConfigSpace<&'b Buses>;

const HERE: Place = (0, 4, 1);

fn read_u8(space: &mut Space<'_>, offset: u8) -> Result<u8, PciError> {
    // SAFETY: a model.
    unsafe { space.own_u8(address(HERE), offset) }
}

fn read_u16(space: &mut Space<'_>, offset: u8) -> Result<u16, PciError> {
    // SAFETY: a model.
    unsafe { space.own_u16(address(HERE), offset) }
}

fn write_u8(space: &mut Space<'_>, offset: u8, value: u8) -> Result<(), PciError> {
    // SAFETY: a model.
    unsafe { space.set_own_u8(address(HERE), offset, value) }
}

fn write_u16(space: &mut Space<'_>, offset: u8, value: u16) -> Result<(), PciError> {
    // SAFETY: a model.
    unsafe { space.set_own_u16(address(HERE), offset, value) }
}

fn buses() -> Buses {
    let function = Function::new(0x8086, 0x25AB).with(0x60, &[0x11, 0x22, 0x33, 0x44]);
    Buses::default().with(HERE, function.with(0xFC, &[0x55, 0x66, 0x77, 0x88]))
}

#[test]
fn they_are_read_by_their_width() {
    let buses = buses();
    let mut space = driver(&buses);
    assert_eq!(read_u8(&mut space, 0x60), Ok(0x11));
    assert_eq!(read_u8(&mut space, 0x63), Ok(0x44));
    assert_eq!(read_u8(&mut space, 0xFF), Ok(0x88));
    assert_eq!(read_u16(&mut space, 0x60), Ok(0x2211));
    assert_eq!(read_u16(&mut space, 0x62), Ok(0x4433));
    assert_eq!(read_u16(&mut space, 0xFE), Ok(0x8877));
    assert_eq!(buses.writes(), 0);
}

#[test]
fn they_are_written_by_their_width() {
    let buses = buses();
    let mut space = driver(&buses);
    assert_eq!(write_u16(&mut space, 0x62, 0xBEEF), Ok(()));
    assert_eq!(write_u8(&mut space, 0x61, 0x99), Ok(()));
    assert_eq!(buses.dword(HERE, 0x60), 0xBEEF_9911);
    assert_eq!(buses.own_writes(HERE), [(0x62, 2), (0x61, 1)]);
    assert_eq!(
        space.identity(address(HERE)),
        Some(Identity { vendor: 0x8086, device: 0x25AB }),
        "the next access selects its own register"
    );
}

#[test]
fn what_lies_elsewhere_is_refused() {
    let buses = buses();
    let mut space = driver(&buses);
    let place = address(HERE);
    for (offset, bytes) in [(0u8, 1u8), (0x3F, 1), (0x04, 2), (0x3E, 2), (0x61, 2), (0xFF, 2)] {
        let error = PciError::NotOwnRegister { address: place, offset, bytes };
        if bytes == 1 {
            assert_eq!(read_u8(&mut space, offset), Err(error));
            assert_eq!(write_u8(&mut space, offset, 1), Err(error));
        } else {
            assert_eq!(read_u16(&mut space, offset), Err(error));
            assert_eq!(write_u16(&mut space, offset, 1), Err(error));
        }
    }
    assert_eq!(
        read_u16(&mut space, 0x61).unwrap_err().to_string(),
        "PCI device 00:04.1 has no 2-byte register of its own at 0x61"
    );
    let nowhere = address((1, 1, 1));
    // SAFETY: a model.
    let read = unsafe { space.own_u8(nowhere, 0x60) };
    assert_eq!(read, Err(PciError::NoDevice(nowhere)));
    // SAFETY: a model.
    let written = unsafe { space.set_own_u16(nowhere, 0x60, 1) };
    assert_eq!(written, Err(PciError::NoDevice(nowhere)));
    assert_eq!(buses.writes(), 0);
}

proptest! {
    #[test]
    fn what_was_written_is_read(offset in 0x20..=0x7Fu8, value in any::<u16>()) {
        let buses = buses();
        let mut space = driver(&buses);
        let offset = offset * 2;
        prop_assert_eq!(write_u16(&mut space, offset, value), Ok(()));
        let [low, high] = value.to_le_bytes();
        prop_assert_eq!(read_u16(&mut space, offset), Ok(value));
        prop_assert_eq!(read_u8(&mut space, offset), Ok(low));
        prop_assert_eq!(read_u8(&mut space, offset + 1), Ok(high));
    }
}
