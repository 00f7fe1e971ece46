// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding functions, base addresses, the command register and the list of capabilities.

use latchwork_x86::pci::{Address, Bar, CapabilityId, Command, Identity, PciError};
use proptest::prelude::*;

use crate::model::{Buses, Function, Place, address, driver};

const EDU: Identity = Identity { vendor: 0x1234, device: 0x11E8 };
const HERE: Place = (0, 3, 0);

fn edu() -> Function {
    Function::new(0x1234, 0x11E8)
}

#[test]
fn addresses() {
    assert!(Address::new(255, 31, 7).is_some());
    assert!(Address::new(0, 32, 0).is_none() && Address::new(0, 0, 8).is_none());
    assert_eq!(address((10, 31, 5)).to_string(), "0a:1f.5");
}

/// Section 6.2.1: function 0 says by bit 7 of its header type whether there are others.
#[test]
fn all_functions_are_found_in_order() {
    let other = |device| Function::new(0x8086, device);
    let buses = Buses::default()
        .with((0, 0, 0), other(1))
        .with((0, 0, 1), other(0xBAD)) // not there, for function 0 has no others
        .with((0, 31, 0), other(2).with(0x0E, &[0x80]))
        .with((0, 31, 7), other(3))
        .with((4, 0, 3), other(0xBAD)) // not there without a function 0
        .with((255, 31, 0), edu().with(0x0E, &[0x81]));
    let mut space = driver(&buses);
    let found: Vec<_> =
        space.functions().map(|(place, who)| (place.to_string(), who.device)).collect();
    let expected = [("00:00.0", 1), ("00:1f.0", 2), ("00:1f.7", 3), ("ff:1f.0", 0x11E8)];
    assert_eq!(found, expected.map(|(place, device)| (place.to_string(), device)));
    assert!(buses.reads() < 9000, "{} reads", buses.reads());
    assert_eq!(buses.writes(), 0);
    assert_eq!(space.find(EDU), Some(address((255, 31, 0))));
    assert_eq!(space.find(Identity { vendor: 0x1234, device: 1 }), None);
    assert_eq!(space.find(Identity { vendor: 0xFFFF, device: 0xFFFF }), None);
    assert_eq!(space.identity(address((255, 31, 0))), Some(EDU));
    assert_eq!(space.identity(address((9, 0, 0))), None);
}

#[test]
fn base_addresses() {
    let bars = [
        0xFEB0_0000u32, // 0: 32-bit memory
        0x0000_C041,    // 1: I/O
        0xE000_000C,    // 2: 64-bit memory, prefetchable
        0x0000_0012,    // 3: its upper half
        0x000D_0002,    // 4: memory below 1 MiB
        0x0000_0000,    // 5: not implemented
    ];
    let bytes = bars.map(u32::to_le_bytes).concat();
    let buses = Buses::default().with(HERE, edu().with(0x10, &bytes));
    let mut space = driver(&buses);
    let place = address(HERE);
    let memory = |address, prefetchable| Ok(Bar::Memory { address, prefetchable });
    assert_eq!(space.bar(place, 0), memory(0xFEB0_0000, false));
    assert_eq!(space.bar(place, 1), Ok(Bar::Io { port: 0xC040 }));
    assert_eq!(space.bar(place, 2), memory(0x12_E000_0000, true));
    assert_eq!(space.bar(place, 3), Err(PciError::UpperHalfOfBar { address: place, index: 3 }));
    assert_eq!(space.bar(place, 4), memory(0x000D_0000, false));
    assert_eq!(space.bar(place, 5), memory(0, false));
    for index in [6, 64, 255] {
        let error = PciError::NoSuchBar { address: place, index };
        assert_eq!(space.bar(place, index), Err(error));
    }
    assert_eq!(buses.writes(), 0);
}

/// Header type 1, a bridge, has two; type 2 and above have none that are meant here.
#[test]
fn impossible_base_addresses() {
    let place = address(HERE);
    let read = |header_type: u8, index: u8, bits: u32| {
        let function = edu()
            .with(0x0E, &[header_type])
            .with(0x10 + 4 * usize::from(index.min(5)), &bits.to_le_bytes());
        driver(&Buses::default().with(HERE, function)).bar(place, index)
    };
    let bad = |index, bits| Err(PciError::BadBar { address: place, index, bits });
    assert_eq!(read(0, 0, 0xFEB0_0006), bad(0, 0xFEB0_0006));
    assert_eq!(read(0, 5, 0xFEB0_0004), bad(5, 0xFEB0_0004));
    assert_eq!(read(1, 1, 0xFEB0_0004), bad(1, 0xFEB0_0004));
    let none = |index| Err(PciError::NoSuchBar { address: place, index });
    assert_eq!(read(0x81, 2, 0), none(2));
    assert_eq!(read(2, 0, 0), none(0));
    let empty = Buses::default();
    assert_eq!(driver(&empty).bar(place, 0), Err(PciError::NoDevice(place)));
}

/// Section 6.2.3: status bits are cleared by writing 1, so none may be written back.
#[test]
fn the_command_register_is_changed_and_the_status_register_is_not() {
    let buses = Buses::default().with(HERE, edu().with(4, &[0x41, 0x01]));
    let mut space = driver(&buses);
    let place = address(HERE);
    let set = Command::MEMORY | Command::BUS_MASTER | Command::INTERRUPT_LINE_DISABLED;
    // SAFETY: a model.
    assert_eq!(unsafe { space.change_command(place, set, Command::IO) }, Ok(()));
    assert_eq!(buses.dword(HERE, 4), 0x2000_0546);
    let command = space.command(place).unwrap();
    assert!(command.contains(set) && !command.contains(Command::IO));
    assert_eq!(command.bits(), 0x0546);
    // SAFETY: a model.
    assert_eq!(unsafe { space.change_command(place, Command::NONE, Command::BUS_MASTER) }, Ok(()));
    assert_eq!(buses.dword(HERE, 4), 0x2000_0542);
    let nowhere = address((1, 1, 1));
    // SAFETY: a model.
    let result = unsafe { space.change_command(nowhere, set, Command::NONE) };
    assert_eq!(result, Err(PciError::NoDevice(nowhere)));
}

fn find(function: Function, id: u8) -> Result<u8, PciError> {
    driver(&Buses::default().with(HERE, function)).capability(address(HERE), CapabilityId(id))
}

#[test]
fn capabilities_are_walked() {
    // The two lowest bits of a pointer are reserved.
    let list = || {
        edu()
            .with_capabilities(0x42)
            .with(0x40, &[1, 0xFF])
            .with(0xFC, &[9, 0x51])
            .with(0x50, &[5, 0])
    };
    assert_eq!(find(list(), 1), Ok(0x40));
    assert_eq!(find(list(), 9), Ok(0xFC));
    assert_eq!(find(list(), 5), Ok(0x50));
    let missing = PciError::NoCapability { address: address(HERE), id: CapabilityId(0x10) };
    assert_eq!(find(list(), 0x10), Err(missing));
    assert_eq!(missing.to_string(), "PCI device 00:03.0 has no capability 0x10");
    let none = PciError::NoCapability { address: address(HERE), id: CapabilityId::MSI };
    // The pointer means nothing without the status bit.
    assert_eq!(find(edu().with(0x34, &[0x40]).with(0x40, &[5, 0]), 5), Err(none));
    assert_eq!(find(edu().with_capabilities(0), 5), Err(none));
}

#[test]
fn a_bad_list_of_capabilities_is_noticed() {
    let place = address(HERE);
    let into_header = edu().with_capabilities(0x40).with(0x40, &[1, 0x3C]);
    let error = PciError::CapabilityPointer { address: place, offset: 0x3C };
    assert_eq!(find(into_header, 5), Err(error));
    let itself = edu().with_capabilities(0x40).with(0x40, &[1, 0x40]);
    let error = PciError::CapabilityLoop { address: place, offset: 0x40 };
    assert_eq!(find(itself, 5), Err(error));
    let far = edu()
        .with_capabilities(0x40)
        .with(0x40, &[1, 0xF0])
        .with(0xF0, &[2, 0x60])
        .with(0x60, &[3, 0xF0]);
    let error = PciError::CapabilityLoop { address: place, offset: 0xF0 };
    assert_eq!(find(far, 5), Err(error));
    assert_eq!(error.to_string(), "capability list of PCI device 00:03.0 comes back to 0xf0");
}

#[test]
fn the_longest_list_is_walked_to_its_end() {
    let mut function = edu().with_capabilities(0x40);
    for offset in (0x40..0xFC).step_by(4) {
        function.put(offset, &[1, u8::try_from(offset).unwrap() + 4]);
    }
    assert_eq!(find(function.with(0xFC, &[5, 0]), 5), Ok(0xFC));
}

proptest! {
    #[test]
    fn any_configuration_space_gives_a_value_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 256),
        near in prop::collection::vec(0x40..=0xFFu8, 192),
        index in any::<u8>(),
    ) {
        for has_list in [false, true] {
            let mut function = edu().with(0, &bytes);
            if has_list {
                // A list that stays where capabilities are, and is announced.
                function = function.with(0x40, &near).with_capabilities(near[0]);
            }
            let buses = Buses::default().with(HERE, function);
            let mut space = driver(&buses);
            let place = address(HERE);
            let _ = space.bar(place, index % 8);
            let _ = space.bar(place, index);
            let _ = space.command(place);
            let before = buses.reads();
            let _ = space.capability(place, CapabilityId(index));
            prop_assert!(buses.reads() - before <= 3 + 48, "each of 48 places once");
            if let Ok(msi) = space.msi(place) {
                let _ = (msi.is_enabled(&mut space), msi.is_pending(&mut space));
            }
        }
    }
}
