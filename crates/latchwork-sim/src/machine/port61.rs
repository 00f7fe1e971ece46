// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 0x61: SERR# and IOCHK# behind one line.
//!
//! Source: PIIX4 datasheet 4.2.4, "NMI Status and Control Register". Bits 7 and 6 are the two
//! statuses, read-only. Bits 2 and 3, while set, clear and disable them. The CPU sees the rising
//! edge of their OR; port 0x70 bit 7, set and cleared, makes a new edge if that is still high.

/// The bits of the port.
pub mod bit {
    /// SERR# was asserted.
    pub const SERR: u8 = 1 << 7;
    /// IOCHK# was asserted.
    pub const IOCHK: u8 = 1 << 6;
    /// Clears and disables IOCHK.
    pub const IOCHK_OFF: u8 = 1 << 3;
    /// Clears and disables SERR.
    pub const SERR_OFF: u8 = 1 << 2;
}

/// The port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Port61 {
    status: u8,
    off: u8,
}

impl Port61 {
    /// A bus asserts that status bit. Returns whether it was clear, and whether the line rises.
    pub fn assert(&mut self, status: u8) -> (bool, bool) {
        let disabled = (status == bit::SERR && self.off & bit::SERR_OFF != 0)
            || (status == bit::IOCHK && self.off & bit::IOCHK_OFF != 0);
        if disabled {
            return (false, false);
        }
        let line_rises = self.status == 0;
        let bit_rises = self.status & status == 0;
        self.status |= status;
        (bit_rises, line_rises)
    }

    /// Reads the port.
    pub fn read(&self) -> u8 {
        self.status | self.off
    }

    /// Writes the port. Returns the statuses that it cleared.
    pub fn write(&mut self, value: u8) -> u8 {
        self.off = value & (bit::SERR_OFF | bit::IOCHK_OFF);
        let mut cleared = 0;
        if self.off & bit::SERR_OFF != 0 {
            cleared |= self.status & bit::SERR;
        }
        if self.off & bit::IOCHK_OFF != 0 {
            cleared |= self.status & bit::IOCHK;
        }
        self.status &= !cleared;
        cleared
    }

    /// Sets and clears port 0x70 bit 7. Returns whether that rings.
    pub fn toggle_enable(&self) -> bool {
        self.status != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rising_edge_of_the_or_rings() {
        let mut port = Port61::default();
        assert_eq!(port.assert(bit::SERR), (true, true));
        assert_eq!(port.assert(bit::IOCHK), (true, false));
        assert_eq!(port.write(bit::SERR_OFF), bit::SERR);
        port.write(0);
        assert_eq!(port.assert(bit::SERR), (true, false), "IOCHK still holds the line");
        assert!(port.toggle_enable());
        assert_eq!(port.write(bit::SERR_OFF | bit::IOCHK_OFF), bit::SERR | bit::IOCHK);
        assert!(!port.toggle_enable());
    }

    #[test]
    fn a_disabled_bus_asserts_nothing() {
        let mut port = Port61::default();
        port.write(bit::SERR_OFF);
        assert_eq!(port.assert(bit::SERR), (false, false));
        assert_eq!(port.read(), bit::SERR_OFF);
    }
}
