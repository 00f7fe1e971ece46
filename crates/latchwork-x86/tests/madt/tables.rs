// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole MADTs of the kinds that firmware of real PCs has, made up for these tests. Each file says
//! what it holds.

use crate::image::Image;

/// Each CPU is a local APIC and a local x2APIC.
pub(crate) const CPUS_LISTED_TWICE: &str = include_str!("cpus-listed-twice.hex");
/// NMI entries name each CPU by its UID plus one.
pub(crate) const NMI_UIDS_ONE_TOO_HIGH: &str = include_str!("nmi-uids-one-too-high.hex");
/// NMI entries count from 0, CPUs from 1, and there are fewer entries than CPUs.
pub(crate) const NMI_UIDS_ZERO_BASED: &str = include_str!("nmi-uids-zero-based.hex");
/// No NMI entry.
pub(crate) const NO_NMI_ENTRY: &str = include_str!("no-nmi-entry.hex");

/// The table that lines of hexadecimal bytes spell; lines that begin with `#` are comments.
pub(crate) fn read(hex: &str) -> Image {
    let lines = hex.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_whitespace);
    Image(bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect())
}
