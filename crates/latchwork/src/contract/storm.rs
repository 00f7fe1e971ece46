// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel is told of NMIs that come far too often.

use core::fmt;

use super::{interrupted::SourceMap, spec::HandlerId};

/// NMIs come to one CPU far more often than anybody means them to.
///
/// ```
/// use latchwork::{Storm, StormSource};
/// fn storm_began(storm: &Storm) {
///     match storm.source {
///         StormSource::Handler(id) => { /* mask the doorbell of the driver that has this id */ }
///         StormSource::Unclaimed { .. } => { /* mask what nobody is behind; see there */ }
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Storm {
    /// The CPU.
    pub cpu: usize,
    /// Where the NMIs come from.
    pub source: StormSource,
    /// How many there were within the present [`within_ms`](Self::within_ms) when the storm began,
    /// one more than the limit; 0 when it is over.
    pub count: usize,
    /// What they are counted by, in milliseconds: 1 for a handler's claims, 100 for NMIs that
    /// nobody claims.
    pub within_ms: u32,
}

/// Where the NMIs of a [`Storm`] come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StormSource {
    /// This handler claims more often than its [limit](crate::HandlerSpec::storm_above). Mask its
    /// doorbell.
    Handler(HandlerId),
    /// Nobody claims them, and no grant explains them; the limit is
    /// [`Limits::unknowns_per_100_ms`](crate::Limits::unknowns_per_100_ms).
    ///
    /// What rings is a doorbell that no handler is behind, or one whose handler does not see its
    /// condition. So mask, on this CPU, what could ring it and has no handler: a line (on a PC,
    /// LINT1 or LINT0 of its APIC, an I/O APIC entry of delivery mode NMI), a message, an unused
    /// entry of its local vector table; and, at the chipset, what drives the line (port 0x61's
    /// SERR# and IOCHK#). What the chipset's status says *now* tells which.
    Unclaimed {
        /// Which sources rang, where the CPU reports that.
        sources: Option<SourceMap>,
    },
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, source, count, within_ms } = self;
        write!(f, "NMI storm on CPU {cpu} that ")?;
        match source {
            StormSource::Handler(HandlerId { class, slot, .. }) => {
                write!(f, "the handler in slot {slot} of class {class:?} claims")?;
            }
            StormSource::Unclaimed { sources } => {
                f.write_str("nobody claims")?;
                if let Some(sources) = sources {
                    write!(f, " (source bitmap {:#06x})", sources.bits())?;
                }
            }
        }
        match count {
            0 => f.write_str(": over"),
            _ => write!(f, ": {count} within {within_ms} ms"),
        }
    }
}
