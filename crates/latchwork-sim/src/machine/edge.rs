// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edges and where they come from. A CPU sees an edge and nothing else; the set of doorbells behind
//! it is for the properties, never for a policy.

use std::fmt;

/// What rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bell {
    /// The performance-counter entry of a CPU's local vector table.
    Lvt,
    /// A software send.
    Software,
    /// A software send whose ring came only after the longest time that a send may hold grants.
    LateSoftware,
    /// The line of port 0x61.
    Port61,
    /// A source without any status: a true unknown.
    Button,
    /// An external device, by its place in [`Hardware::externals`](super::Hardware::externals).
    External(u8),
}

impl Bell {
    const FIRST_EXTERNAL: u32 = 5;

    /// A small number of its own.
    pub fn number(self) -> u32 {
        match self {
            Self::Lvt => 0,
            Self::Software => 1,
            Self::LateSoftware => 2,
            Self::Port61 => 3,
            Self::Button => 4,
            Self::External(index) => Self::FIRST_EXTERNAL + u32::from(index),
        }
    }

    /// The bell of that number.
    pub fn of_number(number: u32) -> Self {
        match number {
            0 => Self::Lvt,
            1 => Self::Software,
            2 => Self::LateSoftware,
            3 => Self::Port61,
            4 => Self::Button,
            _ => Self::External((number - Self::FIRST_EXTERNAL) as u8),
        }
    }

    /// The bit of FRED's source bitmap that this doorbell's writer names in its vector field, as
    /// Latchwork's writers do it: vector 2 is what chipsets send, and no vector is bit 0.
    ///
    /// Source: Intel FRED specification, chapter "NMI-source reporting".
    pub fn source_bit(self) -> u16 {
        match self {
            Self::Lvt => 1 << 4,
            Self::Software | Self::LateSoftware => 1 << 3,
            Self::Port61 | Self::External(_) => 1 << 2,
            Self::Button => 1 << 0,
        }
    }
}

impl fmt::Display for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lvt => f.write_str("PMI"),
            Self::Software => f.write_str("send"),
            Self::LateSoftware => f.write_str("late send"),
            Self::Port61 => f.write_str("port 0x61"),
            Self::Button => f.write_str("true unknown"),
            Self::External(index) => write!(f, "external {index}"),
        }
    }
}

/// The doorbells that rang for one edge: one, or several that collapsed into it. Empty means that
/// there is no edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edge(u32);

impl Edge {
    /// No edge.
    pub const NONE: Self = Self(0);

    /// The edge of these doorbells.
    pub fn of(bells: &[Bell]) -> Self {
        bells.iter().fold(Self::NONE, |edge, bell| edge.with(*bell))
    }

    /// This edge, into which that doorbell's ring collapsed.
    #[must_use]
    pub fn with(self, bell: Bell) -> Self {
        Self(self.0 | 1 << bell.number())
    }

    /// Whether that doorbell's ring is in it.
    pub fn has(self, bell: Bell) -> bool {
        self.0 & 1 << bell.number() != 0
    }

    /// Whether there is no edge.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The doorbells behind it.
    pub fn bells(self) -> impl Iterator<Item = Bell> {
        (0..u32::BITS).filter(move |bit| self.0 & 1 << bit != 0).map(Bell::of_number)
    }

    /// FRED's source bitmap: bits coalesce until delivery.
    pub fn source_bitmap(self) -> u16 {
        self.bells().fold(0, |bits, bell| bits | bell.source_bit())
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, bell) in self.bells().enumerate() {
            if place != 0 {
                f.write_str(" + ")?;
            }
            bell.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_collapse_and_all_of_them_stay_known() {
        let bells = [Bell::Lvt, Bell::Button, Bell::External(2)];
        let edge = Edge::of(&bells).with(Bell::Lvt);
        assert_eq!(edge.bells().collect::<Vec<_>>(), bells);
        assert!(edge.has(Bell::Button) && !edge.has(Bell::Software));
        assert_eq!(edge.to_string(), "PMI + true unknown + external 2");
        assert_eq!(edge.source_bitmap(), 0b1_0101);
    }
}
