// SPDX-License-Identifier: MIT OR Apache-2.0
//! A model of PCI buses behind configuration mechanism #1, written from the PCI Local Bus
//! Specification 3.0 (section numbers are its). All numbers are literals of its own.
//!
//! What the specification forbids, panics.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use latchwork_x86::hw::Port;
use latchwork_x86::pci::{Address, ConfigSpace};

/// Bus, device, function.
pub(crate) type Place = (u32, u32, u32);

/// The 256 bytes of a function, and which of their bits can be written.
pub(crate) struct Function {
    bytes: [u8; 256],
    writable: [u8; 256],
    /// Bits that are cleared by writing 1.
    cleared_by_one: [u8; 256],
    msi: Option<usize>,
    /// Offset and width in bytes of each write to registers of its own.
    own_writes: Vec<(usize, usize)>,
}

impl Function {
    /// Section 6.1. All that the command register defines can be written; the status register shows
    /// a received master abort, which is cleared by writing 1.
    pub(crate) fn new(vendor: u16, device: u16) -> Self {
        let mut function = Self {
            bytes: [0; 256],
            writable: [0; 256],
            cleared_by_one: [0; 256],
            msi: None,
            own_writes: Vec::new(),
        };
        function.put(0x00, &vendor.to_le_bytes());
        function.put(0x02, &device.to_le_bytes());
        function.writable[4..6].copy_from_slice(&[0x47, 0x05]);
        function.put(0x07, &[0x20]);
        function.cleared_by_one[7] = 0xF9;
        function
    }

    pub(crate) fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn with(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.put(offset, bytes);
        self
    }

    /// Announces a list of capabilities (status bit 4) that begins at `first`.
    pub(crate) fn with_capabilities(mut self, first: u8) -> Self {
        self.bytes[6] |= 0x10;
        self.with(0x34, &[first])
    }

    /// An MSI capability (section 6.8.1) that can send four messages and is set to four, with
    /// rubbish in its registers.
    pub(crate) fn with_msi(mut self, at: usize, next: u8, is_64_bit: bool, has_mask: bool) -> Self {
        let control = 0x24 + u8::from(is_64_bit) * 0x80;
        self.put(at, &[5, next, control, u8::from(has_mask)]);
        self.writable[at + 2] = 0x71;
        let data = at + if is_64_bit { 12 } else { 8 };
        let message = at + 4..data + 2;
        self.bytes[message.clone()].fill(0xFC);
        self.writable[message].fill(0xFF);
        self.writable[at + 4] = 0xFC;
        // What is behind the data is reserved, and reads as something here.
        self.put(data + 2, &[0xAB, 0xCD]);
        if has_mask {
            self.writable[data + 4] = 0x0F;
            self.put(data + 4, &[0x06]);
        }
        self.msi = Some(at);
        self
    }

    fn dword(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.bytes[offset..offset + 4].try_into().unwrap())
    }

    fn write(&mut self, offset: usize, value: u32) {
        if let Some(at) = self.msi {
            let is_message = (at + 4..self.msi_data(at) + 4).contains(&offset);
            assert!(!is_message || !self.is_msi_enabled(at), "message changed while enabled");
            assert!(offset != at + 4 || value % 4 == 0, "reserved bits in the message address");
            let is_data = offset == self.msi_data(at);
            assert!(!is_data || value >> 16 == 0xCDAB, "reserved bits behind the data: {value:#x}");
        }
        for (index, byte) in value.to_le_bytes().into_iter().enumerate() {
            let at = offset + index;
            let mask = self.writable[at];
            self.bytes[at] = (self.bytes[at] & !mask) | (byte & mask);
            self.bytes[at] &= !(byte & self.cleared_by_one[at]);
        }
    }

    /// A write to registers that the device defines itself, by the width that it was given.
    fn write_own(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset >= 0x40, "the header is written by whole registers here");
        self.own_writes.push((offset, bytes.len()));
        self.put(offset, bytes);
    }

    fn msi_data(&self, at: usize) -> usize {
        at + if self.bytes[at + 2] & 0x80 != 0 { 12 } else { 8 }
    }

    fn is_msi_enabled(&self, at: usize) -> bool {
        self.bytes[at + 2] & 1 != 0
    }

    /// Event `number` of the device happens. Returns the write that it makes: address and data.
    ///
    /// With 2ⁿ messages allocated, the device puts its event into the lower n bits of the data. A
    /// masked message pends. Without bus mastering no message leaves (sections 6.8.3 and 6.2.2).
    fn event(&mut self, number: u32) -> Option<(u64, u32)> {
        let at = self.msi?;
        if !self.is_msi_enabled(at) || self.bytes[4] & 4 == 0 {
            return None;
        }
        let data = self.msi_data(at);
        if self.bytes[at + 3] & 1 != 0 && self.bytes[data + 4] & 1 != 0 {
            self.bytes[data + 8] |= 1;
            return None;
        }
        let high = if data == at + 12 { self.dword(at + 8) } else { 0 };
        let low_bits = (1 << (self.bytes[at + 2] / 16 % 8)) - 1;
        let value = self.dword(data) % 0x1_0000;
        let message = (value & !low_bits) | (number & low_bits);
        Some((u64::from(high) * 0x1_0000_0000 + u64::from(self.dword(at + 4)), message))
    }
}

#[derive(Default)]
pub(crate) struct Buses {
    functions: RefCell<BTreeMap<Place, Function>>,
    selection: Cell<u32>,
    reads: Cell<u64>,
    writes: Cell<u64>,
}

impl Buses {
    pub(crate) fn with(self, place: Place, function: Function) -> Self {
        self.functions.borrow_mut().insert(place, function);
        self
    }

    pub(crate) fn dword(&self, place: Place, offset: usize) -> u32 {
        self.functions.borrow()[&place].dword(offset)
    }

    pub(crate) fn own_writes(&self, place: Place) -> Vec<(usize, usize)> {
        self.functions.borrow()[&place].own_writes.clone()
    }

    pub(crate) fn event(&self, place: Place, number: u32) -> Option<(u64, u32)> {
        self.functions.borrow_mut().get_mut(&place).unwrap().event(number)
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.get()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.get()
    }

    /// Section 3.2.2.3.2: bit 31 enables, 30:24 are reserved, then bus, device (5 bits), function
    /// (3 bits) and register number (6 bits); 1:0 are 0.
    fn selected(&self) -> (Place, usize) {
        let selection = self.selection.get();
        assert!(selection >> 31 == 1, "configuration data without the enable bit");
        let place = (selection >> 16 & 0xFF, selection >> 11 & 0x1F, selection >> 8 & 7);
        (place, (selection & 0xFF) as usize)
    }

    /// Section 3.2.2.3.2: the four data ports stand for the four bytes of the selected register,
    /// and an access may take some of them. The device sees which (byte enables).
    fn selected_bytes(&self, port: u16, bytes: usize) -> (Place, usize) {
        let first = usize::from(port).checked_sub(0xCFC).expect("a data port");
        assert!(first % bytes == 0 && first + bytes <= 4, "{bytes} bytes at port {port:#x}");
        let (place, register) = self.selected();
        (place, register + first)
    }

    fn read_bytes<const BYTES: usize>(&self, port: u16) -> [u8; BYTES] {
        self.reads.set(self.reads.get() + 1);
        let (place, offset) = self.selected_bytes(port, BYTES);
        let functions = self.functions.borrow();
        let bytes = functions.get(&place).map(|function| &function.bytes[offset..offset + BYTES]);
        bytes.map_or([0xFF; BYTES], |bytes| bytes.try_into().unwrap())
    }

    fn write_bytes(&self, port: u16, bytes: &[u8]) {
        self.writes.set(self.writes.get() + 1);
        let (place, offset) = self.selected_bytes(port, bytes.len());
        if let Some(function) = self.functions.borrow_mut().get_mut(&place) {
            function.write_own(offset, bytes);
        }
    }
}

impl Port for &Buses {
    unsafe fn read_u8(&self, port: u16) -> u8 {
        self.read_bytes::<1>(port)[0]
    }

    unsafe fn write_u8(&self, port: u16, value: u8) {
        self.write_bytes(port, &[value]);
    }

    unsafe fn read_u16(&self, port: u16) -> u16 {
        u16::from_le_bytes(self.read_bytes(port))
    }

    unsafe fn write_u16(&self, port: u16, value: u16) {
        self.write_bytes(port, &value.to_le_bytes());
    }

    unsafe fn read_u32(&self, port: u16) -> u32 {
        assert_eq!(port, 0xCFC);
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < 100_000, "this does not end");
        let (place, offset) = self.selected();
        // Nobody answers: a master abort, which reads as all ones (section 6.1).
        self.functions.borrow().get(&place).map_or(0xFFFF_FFFF, |function| function.dword(offset))
    }

    unsafe fn write_u32(&self, port: u16, value: u32) {
        match port {
            0xCF8 => {
                assert_eq!(value & 0x7F00_0003, 0, "reserved bits in {value:#x}");
                self.selection.set(value);
            }
            0xCFC => {
                self.writes.set(self.writes.get() + 1);
                let (place, offset) = self.selected();
                if let Some(function) = self.functions.borrow_mut().get_mut(&place) {
                    function.write(offset, value);
                }
            }
            _ => panic!("32-bit write to port {port:#x}"),
        }
    }
}

pub(crate) fn driver(buses: &Buses) -> ConfigSpace<&Buses> {
    // SAFETY: the model stands for the ports of a machine.
    unsafe { ConfigSpace::new(buses) }
}

pub(crate) fn address((bus, device, function): Place) -> Address {
    let byte = |number| u8::try_from(number).unwrap();
    Address::new(byte(bus), byte(device), byte(function)).unwrap()
}
