// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's reader of Multiboot2 information, on information that is whole and on information
//! that is not. The kernel itself has no tests that run on the host.

#[path = "../../../kernel/src/boot/multiboot2.rs"]
mod multiboot2;

use multiboot2::{
    InfoError, LOADER_MAGIC, MOST_BYTES, TextScreen, check_address, parse, size_bytes,
};

/// A tag with its padding.
fn tag(kind: u32, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + content.len()).expect("small");
    let mut bytes = [kind.to_le_bytes(), size.to_le_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(8), 0xee);
    bytes
}

/// Information of these tags, as a loader leaves it.
fn info(tags: &[Vec<u8>]) -> Vec<u8> {
    let tags = tags.concat();
    let total = u32::try_from(8 + tags.len()).expect("small");
    [&total.to_le_bytes()[..], &[0; 4], &tags].concat()
}

fn end() -> Vec<u8> {
    tag(0, &[])
}

fn rsdp(revision: u8, bytes: usize) -> Vec<u8> {
    let mut copy = b"RSD PTR ".to_vec();
    copy.resize(bytes, 0);
    copy[15] = revision;
    copy
}

fn framebuffer(kind: u8) -> Vec<u8> {
    let mut content = 0xb8000_u64.to_le_bytes().to_vec();
    for word in [160_u32, 80, 25] {
        content.extend(word.to_le_bytes());
    }
    content.extend([16, kind, 0, 0]);
    content
}

#[test]
fn what_a_loader_says_is_read() {
    let whole = info(&[
        tag(1, b"a=b c=d\0"),
        tag(2, b"GRUB\0"),
        tag(8, &framebuffer(2)),
        tag(14, &rsdp(0, 20)),
        end(),
    ]);
    let read = parse(&whole).expect("whole");
    assert_eq!(read.command_line, "a=b c=d");
    assert_eq!(read.rsdp, Some(&rsdp(0, 20)[..]));
    let screen = TextScreen { address: 0xb8000, columns: 80, rows: 25, pitch_bytes: 160 };
    assert_eq!(read.text_screen, Some(screen));
    assert_eq!(LOADER_MAGIC, 0x36d7_6289);
}

#[test]
fn nothing_said_is_nothing_read() {
    let empty = info(&[end()]);
    let read = parse(&empty).expect("whole");
    assert_eq!((read.command_line, read.rsdp, read.text_screen), ("", None, None));
}

#[test]
fn the_newer_rsdp_is_taken_in_whatever_order() {
    let (old, new) = (tag(14, &rsdp(0, 20)), tag(15, &rsdp(2, 36)));
    for tags in [[old.clone(), new.clone(), end()], [new, old, end()]] {
        assert_eq!(parse(&info(&tags)).expect("whole").rsdp, Some(&rsdp(2, 36)[..]));
    }
}

#[test]
fn half_a_newer_rsdp_is_left_for_the_firmware_to_say() {
    assert_eq!(parse(&info(&[tag(14, &rsdp(2, 20)), end()])).expect("whole").rsdp, None);
}

#[test]
fn a_picture_is_no_text_screen() {
    for kind in [0, 1, 3] {
        let read = parse(&info(&[tag(8, &framebuffer(kind)), end()])).map(|info| info.text_screen);
        assert_eq!(read, Ok(None));
    }
}

#[test]
fn every_cut_is_noticed() {
    let whole = info(&[tag(1, b"a=b\0"), tag(15, &rsdp(2, 36)), tag(8, &framebuffer(2)), end()]);
    for length in 0..whole.len() {
        let mut cut = whole[..length].to_vec();
        assert!(parse(&cut).is_err(), "{length} bytes with the size of all");
        if length >= 4 {
            let size = u32::try_from(length).expect("small");
            cut[..4].copy_from_slice(&size.to_le_bytes());
            assert!(parse(&cut).is_err(), "{length} bytes with a size that fits");
        }
    }
}

#[test]
fn tags_of_nonsense_sizes_are_told() {
    let with_size = |kind: u32, size: u32| {
        let mut bytes = info(&[tag(kind, &[0; 8]), end()]);
        bytes[12..16].copy_from_slice(&size.to_le_bytes());
        parse(&bytes).map(|_| ())
    };
    for size in 0..8 {
        let error = InfoError::TagTooShort { tag: 3, at: 8, bytes: size };
        assert_eq!(with_size(3, size), Err(error));
    }
    for size in [25, 1000, u32::MAX - 7, u32::MAX] {
        let error = InfoError::TagBeyondEnd { tag: 3, at: 8, bytes: size };
        assert_eq!(with_size(3, size), Err(error));
    }
    for kind in [8, 14, 15] {
        let error = InfoError::TagTooShort { tag: kind, at: 8, bytes: 16 };
        assert_eq!(with_size(kind, 16), Err(error));
    }
}

#[test]
fn a_command_line_ends_and_is_text() {
    let line = |content: &[u8]| parse(&info(&[tag(1, content), end()])).map(|_| ());
    assert_eq!(line(b"a=b"), Err(InfoError::CommandLineWithoutEnd));
    assert_eq!(line(b"a=\xff\0"), Err(InfoError::CommandLineNotText));
    assert_eq!(line(b"a=b\0after"), Ok(()));
}

#[test]
fn places_and_sizes_that_cannot_be_are_refused() {
    assert_eq!(check_address(0), Err(InfoError::Address { address: 0 }));
    assert_eq!(check_address(0x1004), Err(InfoError::Address { address: 0x1004 }));
    assert_eq!(size_bytes(0x1000, 16), Ok(16));
    assert_eq!(size_bytes(0x1000, 15), Err(InfoError::Size { bytes: 15 }));
    assert_eq!(size_bytes(0x1000, MOST_BYTES + 1), Err(InfoError::Size { bytes: MOST_BYTES + 1 }));
    let high = u32::MAX - 7;
    assert_eq!(size_bytes(high, 16), Err(InfoError::Address { address: high }));
}

#[test]
fn every_error_says_what_is_wrong() {
    for (error, words) in [
        (InfoError::Address { address: 4 }, "0x4"),
        (InfoError::Size { bytes: 5 }, "5 bytes"),
        (InfoError::TagTooShort { tag: 1, at: 16, bytes: 2 }, "type 1 at offset 0x10"),
        (InfoError::TagBeyondEnd { tag: 1, at: 16, bytes: 99 }, "99 bytes long"),
        (InfoError::NoEndTag, "end tag"),
        (InfoError::CommandLineWithoutEnd, "zero byte"),
        (InfoError::CommandLineNotText, "UTF-8"),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}
