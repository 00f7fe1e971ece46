// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms: what the library reports when NMIs come far too often.

use core::fmt;

use super::{interrupted::SourceMap, spec::HandlerId};

/// NMIs come to one CPU far more often than any source is meant to ring.
///
/// The library gives it to [`Platform::storm_began`](crate::Platform::storm_began), which masks
/// what rings, and to [`Platform::storm_ended`](crate::Platform::storm_ended), which may unmask it.
///
/// ```
/// use latchwork::{HandlerId, Storm, StormSource};
///
/// fn storm_began(storm: &Storm, watchdog: HandlerId) {
///     match storm.source {
///         StormSource::Handler(id) if id == watchdog => mask_watchdog(storm.cpu),
///         StormSource::Unclaimed { .. } => mask_lines_without_handler(storm.cpu),
///         _ => {} // another driver's: it masks its own doorbell
///     }
///     log_from_nmi(format_args!("{storm}")); // "NMI storm on CPU 3 that ..."
/// }
/// # fn mask_watchdog(_: usize) {}
/// # fn mask_lines_without_handler(_: usize) {}
/// # fn log_from_nmi(_: core::fmt::Arguments<'_>) {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Storm {
    /// The CPU that takes the NMIs.
    pub cpu: usize,
    /// Where the NMIs come from.
    pub source: StormSource,
    /// How many NMIs came within the present [`within_ms`](Self::within_ms) when the storm began:
    /// one more than the limit. 0 when the storm is over.
    pub count: usize,
    /// The period in which this CPU counts them, in milliseconds: 1 for the claims of a handler,
    /// 100 for NMIs that no handler claims.
    pub within_ms: u32,
}

/// Where the NMIs of a [`Storm`] come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StormSource {
    /// This handler claims more often than its [limit](crate::HandlerSpec::storm_above). Mask its
    /// doorbell.
    Handler(HandlerId),
    /// No handler claims the NMIs, and no grant explains them. The limit is
    /// [`Limits::unknowns_per_100_ms`](crate::Limits::unknowns_per_100_ms).
    ///
    /// A doorbell rings that has no handler, or whose handler does not see its condition. So mask,
    /// on this CPU, each doorbell that could ring it and has no handler: a line (on a PC, LINT1 or
    /// LINT0 of its APIC, or an I/O APIC entry of delivery mode NMI), a message, an unused entry of
    /// its local vector table. At the chipset, mask what drives the line (SERR# and IOCHK# of port
    /// 0x61). The status that the chipset shows *now* says which of them is active.
    Unclaimed {
        /// Which sources rang, if the CPU reports that.
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
