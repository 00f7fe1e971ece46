// SPDX-License-Identifier: MIT OR Apache-2.0
//! From power-on to Rust on every CPU.

mod entry;
pub(crate) mod firmware;
pub(crate) mod loader;
#[cfg(target_os = "linux")]
mod mem;
pub(crate) mod multiboot2;
pub(crate) mod pages;
pub(crate) mod start;
mod trampoline;
