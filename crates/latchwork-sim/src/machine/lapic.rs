// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt command register of one local APIC.
//!
//! Source: SDM Vol. 3A, "Interrupt Command Register": in xAPIC mode two registers, of which writing
//! the lower one sends to the destination in the upper one; its bit 12, the delivery status, says
//! that the last send is under way. In x2APIC mode one MSR without a delivery status.

/// The register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Icr {
    high: u8,
    /// How many more reads show the last send under way.
    pending_reads: u8,
}

/// Software wrote the lower half while the last send was under way: what becomes of either send is
/// undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenWhileBusy;

impl Icr {
    /// Reads the upper half: the destination's APIC ID.
    pub fn read_high(&self) -> u8 {
        self.high
    }

    /// Writes the upper half.
    pub fn write_high(&mut self, destination: u8) {
        self.high = destination;
    }

    /// Writes the lower half, for an NMI to the destination in the upper one. Returns that
    /// destination.
    ///
    /// # Errors
    ///
    /// [`WrittenWhileBusy`]; this model then drops the new send.
    pub fn write_low(&mut self) -> Result<u8, WrittenWhileBusy> {
        if self.pending_reads != 0 {
            return Err(WrittenWhileBusy);
        }
        self.pending_reads = 1;
        Ok(self.high)
    }

    /// Reads the lower half's delivery status.
    pub fn read_busy(&mut self) -> bool {
        let busy = self.pending_reads != 0;
        self.pending_reads = self.pending_reads.saturating_sub(1);
        busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_half_sends_to_whoever_stands_in_the_upper_one() {
        let mut icr = Icr::default();
        icr.write_high(2);
        assert_eq!(icr.write_low(), Ok(2));
        assert_eq!(icr.write_low(), Err(WrittenWhileBusy));
        assert!(icr.read_busy());
        assert!(!icr.read_busy());
        icr.write_high(1);
        assert_eq!(icr.write_low(), Ok(1));
    }
}
