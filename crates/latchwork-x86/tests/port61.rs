// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 61H against a model that is written from the Intel 82371AB (PIIX4) datasheet, 4.2.4.1, and
//! shares no constant with the driver: bit 7 is the status of SERR# and bit 6 that of IOCHK#, bits
//! 2 and 3 disable them when 1, and bit 4 toggles.

use std::cell::Cell;

use latchwork_x86::hw::Port;
use latchwork_x86::port61::{self, NmiStatus};

/// A chipset at whose port 61H nothing may be written.
struct Chipset {
    value: Cell<u8>,
    reads: Cell<u32>,
}

impl Port for Chipset {
    unsafe fn read_u8(&self, port: u16) -> u8 {
        assert_eq!(port, 0x61);
        self.reads.set(self.reads.get() + 1);
        let value = self.value.get();
        self.value.set(value ^ 0x10);
        value
    }

    unsafe fn write_u8(&self, port: u16, _: u8) {
        panic!("write to port {port:#x}");
    }

    unsafe fn read_u16(&self, port: u16) -> u16 {
        panic!("16-bit read of port {port:#x}");
    }

    unsafe fn write_u16(&self, port: u16, _: u16) {
        panic!("16-bit write to port {port:#x}");
    }

    unsafe fn read_u32(&self, port: u16) -> u32 {
        panic!("32-bit read of port {port:#x}");
    }

    unsafe fn write_u32(&self, port: u16, _: u32) {
        panic!("32-bit write to port {port:#x}");
    }
}

fn reading(value: u8) -> NmiStatus {
    let chipset = Chipset { value: Cell::new(value), reads: Cell::new(0) };
    // SAFETY: the model stands for a chipset's port.
    let status = unsafe { port61::read(&chipset) };
    assert_eq!(chipset.reads.get(), 1, "both bits of one reading");
    status
}

#[test]
fn each_bit_is_what_the_datasheet_says() {
    for value in 0..=255u8 {
        let status = reading(value);
        assert_eq!(status.raw(), value);
        assert_eq!(status.serr(), value / 128 == 1);
        assert_eq!(status.iochk(), value / 64 % 2 == 1);
        assert_eq!(status.iochk_enabled(), value / 8 % 2 == 0);
        assert_eq!(status.serr_enabled(), value / 4 % 2 == 0);
        assert_eq!(status.is_absent(), value == 255);
        assert_eq!(status.names_a_source(), value >= 64 && value != 255);
    }
}

#[test]
fn it_says_in_words_what_it_means() {
    for (value, words) in [
        (0xA0, "port 0x61 reads 0xa0: SERR# (PCI system error) is set; both may raise NMIs"),
        (
            0x64,
            "port 0x61 reads 0x64: IOCHK# (ISA channel check) is set; SERR# is kept from raising NMIs",
        ),
        (
            0xC0,
            "port 0x61 reads 0xc0: SERR# (PCI system error) and IOCHK# (ISA channel check) are set; both may raise NMIs",
        ),
        // Numbers out of bug reports, which differ in the timer's and the speaker's bits only.
        (
            0x20,
            "port 0x61 reads 0x20: neither SERR# nor IOCHK# is set, so it says nothing about the source; both may raise NMIs",
        ),
        (
            0x3D,
            "port 0x61 reads 0x3d: neither SERR# nor IOCHK# is set, so it says nothing about the source; both are kept from raising NMIs",
        ),
        (
            0x08,
            "port 0x61 reads 0x08: neither SERR# nor IOCHK# is set, so it says nothing about the source; IOCHK# is kept from raising NMIs",
        ),
        (0xFF, "port 0x61 reads 0xff: all ones, so nothing answers there and it says nothing"),
    ] {
        assert_eq!(reading(value).to_string(), words);
    }
}
