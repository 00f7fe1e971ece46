// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 61H against a model that is written from the Intel 82371AB (PIIX4) datasheet, 4.2.4 and
//! 4.2.4.1, and shares no constant with the driver: bit 7 is the status of SERR# and bit 6 that of
//! IOCHK#, bits 2 and 3 clear and disable them when 1, and bit 4 toggles.

use std::cell::Cell;

use latchwork_x86::hw::Port;
use latchwork_x86::port61::{self, Masking, NmiStatus, Sources};
use proptest::prelude::*;

/// A chipset's port 61H, its two input lines, and the NMI line that it drives.
#[derive(Default)]
struct Chipset {
    value: Cell<u8>,
    reads: Cell<u32>,
    writes: Cell<u32>,
    /// IOCHK# is held; SERR# is a pulse.
    iochk_is_held: Cell<bool>,
    /// Rising edges of the NMI line.
    nmis: Cell<u32>,
    /// Nothing answers, or the disabling bits cannot be set.
    is_absent: bool,
    refuses: bool,
}

impl Chipset {
    fn reading(value: u8) -> Self {
        Self { value: Cell::new(value), ..Self::default() }
    }

    fn set(&self, value: u8) {
        let was_active = self.value.get() >= 0x40;
        self.value.set(value);
        if value >= 0x40 && !was_active {
            self.nmis.set(self.nmis.get() + 1);
        }
    }

    /// A status is set while its source is enabled.
    fn pulse_serr(&self) {
        if self.value.get() & 0x04 == 0 {
            self.set(self.value.get() | 0x80);
        }
    }

    fn hold_iochk(&self, held: bool) {
        self.iochk_is_held.set(held);
        if held && self.value.get() & 0x08 == 0 {
            self.set(self.value.get() | 0x40);
        }
    }
}

impl Port for Chipset {
    unsafe fn read_u8(&self, port: u16) -> u8 {
        assert_eq!(port, 0x61);
        if self.is_absent {
            return 0xFF;
        }
        self.reads.set(self.reads.get() + 1);
        let value = self.value.get();
        self.value.set(value ^ 0x10);
        value
    }

    unsafe fn write_u8(&self, port: u16, value: u8) {
        assert_eq!(port, 0x61);
        assert!(!self.is_absent, "write to a port at which nothing answers");
        assert_eq!(value & 0xF0, 0, "bits 7 to 4 must be written as 0: {value:#04x}");
        self.writes.set(self.writes.get() + 1);
        let value = if self.refuses { value & 0x03 } else { value };
        let mut status = self.value.get() & 0xF0;
        if value & 0x04 != 0 {
            status &= 0x7F;
        }
        if value & 0x08 != 0 {
            status &= 0xBF;
        }
        self.set(status | value);
        self.hold_iochk(self.iochk_is_held.get());
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

fn mask(chipset: &Chipset, sources: Sources) -> NmiStatus {
    // SAFETY: the model stands for a chipset's port.
    unsafe { port61::mask(chipset, sources) }
}

fn unmask(chipset: &Chipset, sources: Sources) -> NmiStatus {
    // SAFETY: the model stands for a chipset's port.
    unsafe { port61::unmask(chipset, sources) }
}

fn clear(chipset: &Chipset, sources: Sources) -> NmiStatus {
    // SAFETY: the model stands for a chipset's port.
    unsafe { port61::clear(chipset, sources) }
}

fn mask_active(chipset: &Chipset) -> Masking {
    // SAFETY: the model stands for a chipset's port.
    unsafe { port61::mask_active(chipset) }
}

fn reading(value: u8) -> NmiStatus {
    let chipset = Chipset::reading(value);
    // SAFETY: the model stands for a chipset's port.
    let status = unsafe { port61::read(&chipset) };
    assert_eq!(chipset.reads.get(), 1, "both bits of one reading");
    assert_eq!(chipset.writes.get(), 0);
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
            "port 0x61 reads 0x64: IOCHK# (ISA channel check) is set; SERR# is kept from raising \
             NMIs",
        ),
        (
            0xC0,
            "port 0x61 reads 0xc0: SERR# (PCI system error) and IOCHK# (ISA channel check) are \
             set; both may raise NMIs",
        ),
        // Numbers out of bug reports, which differ in the timer's and the speaker's bits only.
        (
            0x20,
            "port 0x61 reads 0x20: neither SERR# nor IOCHK# is set, so it says nothing about the \
             source; both may raise NMIs",
        ),
        (
            0x3D,
            "port 0x61 reads 0x3d: neither SERR# nor IOCHK# is set, so it says nothing about the \
             source; both are kept from raising NMIs",
        ),
        (
            0x08,
            "port 0x61 reads 0x08: neither SERR# nor IOCHK# is set, so it says nothing about the \
             source; IOCHK# is kept from raising NMIs",
        ),
        (0xFF, "port 0x61 reads 0xff: all ones, so nothing answers there and it says nothing"),
    ] {
        assert_eq!(reading(value).to_string(), words);
    }
}

const EACH: [Sources; 2] = [Sources::SERR, Sources::IOCHK];

/// The status bit and the disabling bit of a source.
fn bits(source: Sources) -> (u8, u8) {
    if source == Sources::SERR { (0x80, 0x04) } else { (0x40, 0x08) }
}

#[test]
fn a_masked_source_is_cleared_and_raises_nothing_until_it_is_unmasked() {
    for source in EACH {
        let (status, disable) = bits(source);
        let chipset = Chipset::reading(0x03);
        let raise = || {
            chipset.hold_iochk(source == Sources::IOCHK);
            if source == Sources::SERR {
                chipset.pulse_serr();
            }
        };
        raise();
        assert_eq!((chipset.nmis.get(), chipset.value.get()), (1, 0x03 | status));
        let after = mask(&chipset, source);
        assert_eq!(after.raw() & 0xCF, 0x03 | disable, "cleared, and the speaker's bits stay");
        raise();
        assert_eq!(chipset.nmis.get(), 1);
        chipset.hold_iochk(false);
        assert_eq!(unmask(&chipset, source).raw() & 0xCF, 0x03);
        raise();
        assert_eq!(chipset.nmis.get(), 2);
    }
}

#[test]
fn clearing_makes_room_for_the_next_edge() {
    let chipset = Chipset::reading(0x01);
    chipset.pulse_serr();
    chipset.pulse_serr();
    assert_eq!(chipset.nmis.get(), 1, "the line is active already");
    assert_eq!(clear(&chipset, Sources::SERR).active(), Sources { serr: false, iochk: false });
    assert_eq!(chipset.value.get() & 0xCF, 0x01);
    chipset.pulse_serr();
    assert_eq!(chipset.nmis.get(), 2);
}

#[test]
fn clearing_shows_what_is_still_active() {
    let chipset = Chipset::reading(0);
    chipset.hold_iochk(true);
    assert_eq!(clear(&chipset, Sources::BOTH).active(), Sources::IOCHK);
    assert_eq!(chipset.nmis.get(), 2, "a source that is held gives a new edge");
    // The other one came while the line was active: no edge of its own.
    chipset.pulse_serr();
    assert_eq!(chipset.nmis.get(), 2);
    chipset.hold_iochk(false);
    assert_eq!(clear(&chipset, Sources::IOCHK).active(), Sources::SERR);
}

#[test]
fn clearing_leaves_a_masked_source_masked() {
    for source in EACH {
        let (_, disable) = bits(source);
        let chipset = Chipset::reading(0x02 | disable);
        assert_eq!(clear(&chipset, source).raw() & 0xCF, 0x02 | disable);
        assert_eq!(clear(&chipset, Sources::BOTH).raw() & 0xCF, 0x02 | disable);
    }
}

#[test]
fn what_is_active_is_masked_and_the_other_source_is_left_alone() {
    let neither = Sources { serr: false, iochk: false };
    for (value, active, left) in [
        (0x80, Sources::SERR, 0x04),
        (0x41, Sources::IOCHK, 0x09),
        (0xC2, Sources::BOTH, 0x0E),
        (0x84, Sources::SERR, 0x04),
    ] {
        let chipset = Chipset::reading(value);
        assert_eq!(mask_active(&chipset), Masking::Masked(active));
        assert_eq!(chipset.value.get() & 0xCF, left);
        assert!(matches!(mask_active(&chipset), Masking::NoneActive(_)));
    }
    for value in [0x00, 0x0C, 0x33] {
        let chipset = Chipset::reading(value);
        assert_eq!(mask_active(&chipset), Masking::NoneActive(reading(value)));
        assert_eq!((chipset.writes.get(), reading(value).active()), (0, neither));
    }
}

#[test]
fn a_chipset_that_does_not_take_the_mask_is_noticed() {
    let chipset = Chipset { refuses: true, ..Chipset::reading(0x80) };
    assert_eq!(mask_active(&chipset), Masking::Refused(Sources::SERR));
}

#[test]
fn where_nothing_answers_nothing_is_written() {
    let nothing = || Chipset { is_absent: true, ..Chipset::default() };
    assert!(mask(&nothing(), Sources::BOTH).is_absent());
    assert!(unmask(&nothing(), Sources::BOTH).is_absent());
    assert!(clear(&nothing(), Sources::BOTH).is_absent());
    assert!(matches!(mask_active(&nothing()), Masking::NoneActive(_)));
}

#[test]
fn what_was_masked_reads_well() {
    assert_eq!(
        Masking::Masked(Sources::SERR).to_string(),
        "masked at port 0x61: SERR# (PCI system error)"
    );
    assert_eq!(
        Masking::Refused(Sources::BOTH).to_string(),
        "port 0x61 does not take the mask of SERR# (PCI system error) and IOCHK# (ISA channel \
         check)"
    );
    assert_eq!(
        Masking::NoneActive(reading(0x00)).to_string(),
        "nothing masked at port 0x61: port 0x61 reads 0x00: neither SERR# nor IOCHK# is set, so it \
         says nothing about the source; both may raise NMIs"
    );
}

proptest! {
    /// Whatever the port reads: the named sources change, and nothing else that can be written.
    #[test]
    fn nothing_but_the_named_sources_changes(
        value in 0..=254u8,
        serr in any::<bool>(),
        iochk in any::<bool>(),
    ) {
        let sources = Sources { serr, iochk };
        let bits = u8::from(serr) * 4 + u8::from(iochk) * 8;
        let chipset = || Chipset::reading(value);
        prop_assert_eq!(mask(&chipset(), sources).raw() & 0x0F, value & 0x0F | bits);
        prop_assert_eq!(unmask(&chipset(), sources).raw() & 0x0F, value & 0x0F & !bits);
        prop_assert_eq!(clear(&chipset(), sources).raw() & 0x0F, value & 0x0F);
    }
}
