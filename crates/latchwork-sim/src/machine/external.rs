// SPDX-License-Identifier: MIT OR Apache-2.0
//! An external device with a sticky status. Its line is held while the status is set, or it sends a
//! message for each event, or it is firmware that waits until software has acknowledged its error
//! block.

use super::{ExternalKind, Ring, Route};

/// The device's registers, and its entry in the I/O APIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct External {
    status: bool,
    /// How often it has rung since the status was clear.
    rings: u8,
    /// Whom it rings, if that was changed.
    route: Option<Route>,
    /// The entry is masked: a rising edge is lost (82093AA, "Interrupt Mask").
    masked: bool,
}

impl External {
    /// Whether it can have an event now.
    pub fn can_assert(&self, kind: &ExternalKind) -> bool {
        let merges_more = kind.ring == Ring::LevelHeld || self.rings <= kind.max_late_edges;
        !self.status || merges_more && !kind.waits_for_ack
    }

    /// The device has an event. Returns whether its status was clear, and whether it rings.
    pub fn assert(&mut self, kind: &ExternalKind) -> Asserted {
        let rises = !self.status;
        self.status = true;
        self.rings = if rises { 0 } else { self.rings };
        let rings = !self.masked && (rises || kind.ring == Ring::PerEvent);
        self.rings += u8::from(rings);
        Asserted { rises, rings }
    }

    /// Reads the status.
    pub fn status(&self) -> bool {
        self.status
    }

    /// Clears the status; the line of a level-held device falls. Returns whether the status was
    /// set.
    pub fn acknowledge(&mut self) -> bool {
        std::mem::replace(&mut self.status, false)
    }

    /// Writes the mask. Unmasking an edge-triggered entry rings nothing, whatever the line's level.
    pub fn set_masked(&mut self, masked: bool) {
        self.masked = masked;
    }

    /// Writes the destination.
    pub fn set_route(&mut self, route: Route) {
        self.route = Some(route);
    }

    /// Whom it rings.
    pub fn route(&self, kind: &ExternalKind) -> Route {
        self.route.unwrap_or(kind.route)
    }

    /// Whether the mask holds back its line or message.
    pub fn is_masked(&self) -> bool {
        self.masked
    }
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// The status was clear.
    pub rises: bool,
    /// The device rings.
    pub rings: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_line_rings_once_and_a_message_each_time() {
        let mut held = External::default();
        let kind = ExternalKind::level_held(Route::All);
        assert_eq!(held.assert(&kind), Asserted { rises: true, rings: true });
        assert_eq!(held.assert(&kind), Asserted { rises: false, rings: false });
        assert!(held.acknowledge() && !held.acknowledge());
        assert!(held.assert(&kind).rings);

        let mut message = External::default();
        let kind = ExternalKind::per_event(Route::Bsp, 2);
        assert!(message.assert(&kind).rings);
        assert_eq!(message.assert(&kind), Asserted { rises: false, rings: true });
        assert!(message.can_assert(&kind) && message.assert(&kind).rings);
        assert!(!message.can_assert(&kind), "its status merges no more than it says");
        message.acknowledge();
        assert!(message.can_assert(&kind));
    }

    #[test]
    fn a_line_that_rose_while_masked_rings_neither_then_nor_later() {
        let mut device = External::default();
        let kind = ExternalKind::level_held(Route::All);
        device.set_masked(true);
        assert!(!device.assert(&kind).rings);
        device.set_masked(false);
        assert!(!device.assert(&kind).rings && device.status());
    }

    #[test]
    fn firmware_waits_for_its_acknowledgement() {
        let mut block = External::default();
        let kind = ExternalKind::error_block(Route::Bsp);
        assert!(block.can_assert(&kind));
        block.assert(&kind);
        assert!(!block.can_assert(&kind));
        block.acknowledge();
        assert!(block.can_assert(&kind));
    }
}
