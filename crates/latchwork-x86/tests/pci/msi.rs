// SPDX-License-Identifier: MIT OR Apache-2.0
//! MSI in NMI mode (message format: SDM Vol. 3A, "Message Address Register Format" and "Message
//! Data Register Format": address FEEH, destination in bits 19:12; data: vector in bits 7:0,
//! delivery mode in bits 10:8, which is 100B for NMI, trigger in bit 15).

use latchwork_x86::icr::ApicId;
use latchwork_x86::lapic::lvt::Mask;
use latchwork_x86::msi::{IdTooWide, Message};
use latchwork_x86::pci::{CapabilityId, Command, PciError};
use latchwork_x86::{NmiSource, Vector};

use crate::model::{Buses, Function, Place, address, driver};

const HERE: Place = (2, 1, 0);
const LAYOUTS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

fn device(is_64_bit: bool, has_mask: bool) -> Buses {
    let function = Function::new(0x1234, 0x11E8)
        .with_capabilities(0x40)
        .with(0x40, &[1, 0x54])
        .with_msi(0x54, 0, is_64_bit, has_mask);
    Buses::default().with(HERE, function)
}

fn enable_bus_mastering(buses: &Buses) {
    // SAFETY: a model.
    let result =
        unsafe { driver(buses).change_command(address(HERE), Command::BUS_MASTER, Command::NONE) };
    assert_eq!(result, Ok(()));
}

#[test]
fn messages() {
    let nmi = |id, source| Message::nmi(ApicId::new(id).unwrap(), source);
    for (message, address, data) in [
        (nmi(0, None), 0xFEE0_0000, 0x0400),
        (nmi(1, NmiSource::new(7)), 0xFEE0_1000, 0x0407),
        (nmi(254, None), 0xFEEF_E000, 0x0400),
        (Message::fixed(ApicId::from(0x12u8), Vector::of::<0x41>()), 0xFEE1_2000, 0x0041),
    ] {
        let message = message.unwrap();
        assert_eq!((message.address(), message.data()), (address, data));
    }
    for id in [255, 256, 0xFFFF_FFFE] {
        let id = ApicId::new(id).unwrap();
        assert_eq!(Message::nmi(id, None), Err(IdTooWide(id)));
        assert_eq!(Message::fixed(id, Vector::MAX), Err(IdTooWide(id)));
    }
}

#[test]
fn every_event_is_one_nmi_whatever_the_layout() {
    for (is_64_bit, has_mask) in LAYOUTS {
        let buses = device(is_64_bit, has_mask);
        enable_bus_mastering(&buses);
        let mut space = driver(&buses);
        let msi = space.msi(address(HERE)).unwrap();
        assert_eq!((msi.is_64_bit(), msi.has_mask()), (is_64_bit, has_mask));
        let message = Message::nmi(ApicId::from(9u8), NmiSource::new(6)).unwrap();
        msi.program(&mut space, message);
        assert!(!msi.is_enabled(&mut space));
        assert_eq!(buses.event(HERE, 0), None);
        msi.enable(&mut space);
        assert!(msi.is_enabled(&mut space));
        for number in 0..4 {
            assert_eq!(buses.event(HERE, number), Some((0xFEE0_9000, 0x0406)));
        }
        msi.disable(&mut space);
        assert_eq!(buses.event(HERE, 0), None);
    }
}

#[test]
fn a_message_is_replaced_while_the_capability_is_enabled() {
    let buses = device(true, false);
    enable_bus_mastering(&buses);
    let mut space = driver(&buses);
    let msi = space.msi(address(HERE)).unwrap();
    for id in [1u8, 2] {
        msi.program(&mut space, Message::nmi(ApicId::from(id), None).unwrap());
        msi.enable(&mut space);
        let expected = (0xFEE0_0000 + u64::from(id) * 0x1000, 0x0400);
        assert_eq!(buses.event(HERE, 0), Some(expected));
    }
}

#[test]
fn without_bus_mastering_no_message_leaves() {
    let buses = device(false, false);
    let mut space = driver(&buses);
    let msi = space.msi(address(HERE)).unwrap();
    msi.program(&mut space, Message::nmi(ApicId::from(1u8), None).unwrap());
    msi.enable(&mut space);
    assert_eq!(buses.event(HERE, 0), None);
}

#[test]
fn a_masked_message_pends() {
    for is_64_bit in [false, true] {
        let buses = device(is_64_bit, true);
        enable_bus_mastering(&buses);
        let mut space = driver(&buses);
        let msi = space.msi(address(HERE)).unwrap();
        msi.program(&mut space, Message::nmi(ApicId::from(1u8), None).unwrap());
        msi.enable(&mut space);
        assert_eq!(msi.set_mask(&mut space, Mask::Masked), Ok(()));
        let mask_offset = if is_64_bit { 0x64 } else { 0x60 };
        assert_eq!(buses.dword(HERE, mask_offset), 0x07, "the other messages' bits stay");
        assert_eq!(msi.is_pending(&mut space), Ok(false));
        assert_eq!(buses.event(HERE, 0), None);
        assert_eq!(msi.is_pending(&mut space), Ok(true));
        assert_eq!(msi.set_mask(&mut space, Mask::Unmasked), Ok(()));
        assert_eq!(buses.dword(HERE, mask_offset), 0x06);
        assert!(buses.event(HERE, 0).is_some());
    }
    let buses = device(true, false);
    let mut space = driver(&buses);
    let msi = space.msi(address(HERE)).unwrap();
    let error = PciError::NoMask(address(HERE));
    assert_eq!(msi.set_mask(&mut space, Mask::Masked), Err(error));
    assert_eq!(msi.is_pending(&mut space), Err(error));
}

#[test]
fn what_is_not_there_or_does_not_fit_is_said() {
    let place = address(HERE);
    let msi = |function| driver(&Buses::default().with(HERE, function)).msi(place).err();
    let function = || Function::new(1, 2);
    let missing = PciError::NoCapability { address: place, id: CapabilityId::MSI };
    assert_eq!(msi(function()), Some(missing));
    // 64 bits and a mask take 24 bytes, 32 bits without take 10.
    for (offset, control, mask, fits) in [
        (0xE8u8, 0x80u8, 1u8, true),
        (0xEC, 0x80, 1, false),
        (0xEC, 0x00, 1, true),
        (0xF0, 0x00, 1, false),
        (0xF0, 0x80, 0, true),
        (0xF4, 0x80, 0, false),
        (0xF4, 0x00, 0, true),
        (0xF8, 0x00, 0, false),
        (0xFC, 0x00, 0, false),
    ] {
        let function =
            function().with_capabilities(offset).with(usize::from(offset), &[5, 0, control, mask]);
        let truncated = PciError::CapabilityTruncated { address: place, offset };
        assert_eq!(msi(function), (!fits).then_some(truncated), "{offset:#x}");
    }
}
