// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a Multiboot2 loader says, read with bounds (Multiboot2 Specification 2.0, section 3.6).
//!
//! Plain code over a byte slice, without dependencies, so that the host's tests can read malformed
//! information with it. This kernel does not use the crate `multiboot2`, which needs a newer
//! compiler than this workspace and brings along UEFI and ELF structures, for the three tags that
//! this kernel reads.

use core::fmt;

/// What a Multiboot2 loader leaves in EAX.
pub(crate) const LOADER_MAGIC: u32 = 0x36d7_6289;

/// More than any loader leaves; a larger size is nonsense.
pub(crate) const MOST_BYTES: u32 = 1 << 20;

/// Total size and a reserved word come before the first tag.
const FIRST_TAG_AT: usize = 8;
/// A tag's type and size come before its content.
const TAG_HEAD_BYTES: usize = 8;
/// Tags begin at multiples of this.
const TAG_ALIGNMENT: usize = 8;
/// The information begins at a multiple of this.
const INFO_ALIGNMENT: u32 = 8;

const TAG_END: u32 = 0;
const TAG_COMMAND_LINE: u32 = 1;
const TAG_FRAMEBUFFER: u32 = 8;
const TAG_OLD_RSDP: u32 = 14;
const TAG_NEW_RSDP: u32 = 15;

const OLD_RSDP_BYTES: usize = 20;
const NEW_RSDP_BYTES: usize = 36;
/// Where an RSDP says its revision; from 2 on it is longer than the old tag's copy.
const RSDP_REVISION_AT: usize = 15;

const FRAMEBUFFER_IS_TEXT: u8 = 2;

/// What this kernel wants to know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Info<'a> {
    /// The command line; empty if there is none.
    pub(crate) command_line: &'a str,
    /// The loader's copy of the RSDP, if it made one that is whole.
    pub(crate) rsdp: Option<&'a [u8]>,
    /// The text screen, if the loader left the display in text mode.
    pub(crate) text_screen: Option<TextScreen>,
}

/// A screen of letters with attributes, two bytes each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TextScreen {
    /// Where its first letter is.
    pub(crate) address: u64,
    /// Letters in a row.
    pub(crate) columns: u32,
    /// Rows.
    pub(crate) rows: u32,
    /// From one row to the next.
    pub(crate) pitch_bytes: u32,
}

/// What is wrong with the information.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum InfoError {
    /// It lies at an impossible address.
    Address { address: u32 },
    /// It says that it is too short for a tag, or far too long, or longer than what is there.
    Size { bytes: u32 },
    /// A tag is shorter than its own head or its fixed content.
    TagTooShort { tag: u32, at: usize, bytes: u32 },
    /// A tag goes on beyond the end of the information.
    TagBeyondEnd { tag: u32, at: usize, bytes: u32 },
    /// The tags are over, but none of them is the end tag.
    NoEndTag,
    /// The command line does not end in a zero byte.
    CommandLineWithoutEnd,
    /// The command line is no UTF-8.
    CommandLineNotText,
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address { address } => write!(f, "it cannot lie at {address:#x}"),
            Self::Size { bytes } => write!(f, "a total size of {bytes} bytes cannot be"),
            Self::TagTooShort { tag, at, bytes } => {
                write!(f, "{bytes} bytes are too few for the tag of type {tag} at offset {at:#x}")
            }
            Self::TagBeyondEnd { tag, at, bytes } => {
                write!(
                    f,
                    "the tag of type {tag} at offset {at:#x}, {bytes} bytes long, goes beyond the \
                     end"
                )
            }
            Self::NoEndTag => f.write_str("the end tag is missing"),
            Self::CommandLineWithoutEnd => {
                f.write_str("the command line does not end in a zero byte")
            }
            Self::CommandLineNotText => f.write_str("the command line is no UTF-8"),
        }
    }
}

/// How many bytes the information at `address` has, by its first word, which is `first_word`.
pub(crate) fn size_bytes(address: u32, first_word: u32) -> Result<usize, InfoError> {
    let smallest = FIRST_TAG_AT + TAG_HEAD_BYTES;
    if first_word > MOST_BYTES || (first_word as usize) < smallest {
        return Err(InfoError::Size { bytes: first_word });
    }
    check_address(address)?;
    match address.checked_add(first_word) {
        Some(_) => Ok(first_word as usize),
        None => Err(InfoError::Address { address }),
    }
}

/// Refuses an address at which no loader leaves its information.
pub(crate) fn check_address(address: u32) -> Result<(), InfoError> {
    if address == 0 || address % INFO_ALIGNMENT != 0 {
        return Err(InfoError::Address { address });
    }
    Ok(())
}

/// Reads the information. `bytes` begins at its total size.
pub(crate) fn parse(bytes: &[u8]) -> Result<Info<'_>, InfoError> {
    let total = u32_at(bytes, 0).unwrap_or(0);
    let bytes = bytes.get(..total as usize).ok_or(InfoError::Size { bytes: total })?;
    let mut info = Info::default();
    let mut at = FIRST_TAG_AT;
    loop {
        let (Some(tag), Some(size)) = (u32_at(bytes, at), u32_at(bytes, at.saturating_add(4)))
        else {
            return Err(InfoError::NoEndTag);
        };
        let too_short = InfoError::TagTooShort { tag, at, bytes: size };
        if (size as usize) < TAG_HEAD_BYTES {
            return Err(too_short);
        }
        let end = at.saturating_add(size as usize);
        let beyond = InfoError::TagBeyondEnd { tag, at, bytes: size };
        let content = bytes.get(at + TAG_HEAD_BYTES..end).ok_or(beyond)?;
        match tag {
            TAG_END => return Ok(info),
            TAG_COMMAND_LINE => info.command_line = command_line(content)?,
            TAG_NEW_RSDP => {
                info.rsdp = Some(content.get(..NEW_RSDP_BYTES).ok_or(too_short)?);
            }
            TAG_OLD_RSDP if info.rsdp.is_none() => {
                let copy = content.get(..OLD_RSDP_BYTES).ok_or(too_short)?;
                info.rsdp = Some(copy).filter(|copy| copy[RSDP_REVISION_AT] < 2);
            }
            TAG_FRAMEBUFFER => info.text_screen = text_screen(content).ok_or(too_short)?,
            _ => {}
        }
        at = end.next_multiple_of(TAG_ALIGNMENT);
    }
}

fn command_line(content: &[u8]) -> Result<&str, InfoError> {
    let end = content.iter().position(|byte| *byte == 0).ok_or(InfoError::CommandLineWithoutEnd)?;
    core::str::from_utf8(&content[..end]).map_err(|_| InfoError::CommandLineNotText)
}

/// The text screen, if the framebuffer is one; `None` if the tag is too short.
fn text_screen(content: &[u8]) -> Option<Option<TextScreen>> {
    let low = u32_at(content, 0)?;
    let high = u32_at(content, 4)?;
    let screen = TextScreen {
        address: u64::from(high) << 32 | u64::from(low),
        pitch_bytes: u32_at(content, 8)?,
        columns: u32_at(content, 12)?,
        rows: u32_at(content, 16)?,
    };
    let _bits_per_pixel = content.get(20)?;
    let kind = *content.get(21)?;
    Some(Some(screen).filter(|_| kind == FRAMEBUFFER_IS_TEXT))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}
