// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the kernel lies, as the linker script says.

unsafe extern "C" {
    static latchwork_text_start: u8;
    static latchwork_text_end: u8;
}

/// Whether `address` lies in the kernel's code.
pub(crate) fn is_text(address: usize) -> bool {
    let text = (&raw const latchwork_text_start).addr()..(&raw const latchwork_text_end).addr();
    text.contains(&address)
}
