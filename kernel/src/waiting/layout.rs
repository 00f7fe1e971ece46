// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the waits of all CPUs lie in the kernel's memory. This kernel writes them, and the host
//! reads them through the emulator's monitor. All of it is little-endian words of eight bytes.
//!
//! The array has [`WAITS_A_CPU`] waits for each CPU in turn, the outermost first. A wait is
//! [`WORDS_A_WAIT`] words, of which the first is 0 if no CPU waits; else it is the address of a
//! *site*, which lies in the kernel's image and never changes.

/// The array's symbol.
pub(crate) const SYMBOL: &str = "LATCHWORK_WAITS";

/// How many waits each CPU can note: one of a thread, and those of NMIs and interrupts on top of
/// it.
pub(crate) const WAITS_A_CPU: usize = 6;

/// Words of a wait: its site, the number that its text names, and when it began, in ticks of the
/// TSC.
pub(crate) const WORDS_A_WAIT: usize = 3;

/// Words of a site: address and length of its text, address and length of its file's name, and the
/// line.
pub(crate) const WORDS_A_SITE: usize = 5;

/// What stands in a text for the number.
pub(crate) const PLACEHOLDER: &str = "{}";
