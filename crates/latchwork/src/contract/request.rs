// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a software NMI asks for, and a set of such requests: a counter per [`Request`], packed in
//! one word.
//!
//! Counters, not bits, because every sender rings: three sends that one NMI takes leave up to two
//! edges that will find nothing, and the receiver must know that they are three.
//!
//! A counter is refused long before it is full
//! ([`SendError::Saturated`](crate::SendError::Saturated)). It cannot overflow beyond that, into
//! its neighbour: a sender is between its look and its add with interrupts off, so at most a thread
//! and the NMIs that nest on top of it are, on each CPU, and the rest has room for them. `Probe`,
//! `Selftest` and `Again` are narrower, for which reason a CPU sends them to itself only.
//!
//! On 64-bit targets the room is for [`MAX_NESTING`](crate::MAX_NESTING) NMIs on one CPU, and for
//! two on each of all others. On 32-bit ones it is for a thread and an NMI on each.

/// What a software NMI asks of the CPU that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Park, after leaving the read side.
    Stop = 0,
    /// Report where this CPU is.
    Backtrace = 1,
    /// Whatever the kernel agreed with itself.
    Call = 2,
    /// Ask the Platform handlers, whatever else explains the edge. To the sending CPU only.
    Probe = 3,
    /// Prove that NMIs arrive. To the sending CPU only.
    Selftest = 4,
    /// Take an NMI for what this CPU has noted for itself. To the sending CPU only; the library
    /// sends it.
    Again = 5,
}

/// Where each request's counter lies in the word.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) shift: u32,
    pub(crate) bits: u32,
    /// So many are pending that one more is refused.
    pub(crate) refused_at: usize,
}

impl Field {
    pub(crate) const fn unit(self) -> usize {
        1 << self.shift
    }

    pub(crate) const fn count_in(self, word: usize) -> usize {
        word >> self.shift & !(usize::MAX << self.bits)
    }
}

impl Request {
    pub(crate) const ALL: [Self; 6] =
        [Self::Stop, Self::Backtrace, Self::Call, Self::Probe, Self::Selftest, Self::Again];

    const WIDE_BITS: u32 = if usize::BITS >= 64 { 14 } else { 8 };
    const NARROW_BITS: u32 = if usize::BITS >= 64 { 7 } else { 2 };

    pub(crate) const fn field(self) -> Field {
        match self {
            Self::Stop => Self::wide(0),
            Self::Backtrace => Self::wide(1),
            Self::Call => Self::wide(2),
            Self::Probe => Self::narrow(0),
            Self::Selftest => Self::narrow(1),
            Self::Again => Self::narrow(2),
        }
    }

    const fn wide(index: u32) -> Field {
        let refused_at = if usize::BITS >= 64 { 1 << 12 } else { 1 << 7 };
        Field { shift: Self::WIDE_BITS.wrapping_mul(index), bits: Self::WIDE_BITS, refused_at }
    }

    const fn narrow(index: u32) -> Field {
        let wide = Self::WIDE_BITS.wrapping_mul(3);
        let shift = wide.wrapping_add(Self::NARROW_BITS.wrapping_mul(index));
        let refused_at = if usize::BITS >= 64 { 1 << 4 } else { 1 << 1 };
        Field { shift, bits: Self::NARROW_BITS, refused_at }
    }

    /// Only the CPU itself may send it.
    pub(crate) const fn is_to_self_only(self) -> bool {
        matches!(self, Self::Probe | Self::Selftest | Self::Again)
    }
}

/// A set of counted requests: what one NMI took, or what is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests(usize);

impl Requests {
    pub(crate) const NONE: Self = Self(0);

    /// The counters of a word.
    pub(crate) const fn from_word(word: usize) -> Self {
        Self(word)
    }

    /// How many sends of `request` are in the set.
    #[must_use]
    pub const fn count(self, request: Request) -> usize {
        request.field().count_in(self.0)
    }

    /// How many sends are in the set.
    #[must_use]
    pub const fn total(self) -> usize {
        let mut total: usize = 0;
        let mut rest: &[Request] = &Request::ALL;
        while let [request, others @ ..] = rest {
            total = total.wrapping_add(self.count(*request));
            rest = others;
        }
        total
    }

    /// Nothing was sent.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_rest_has_room_for_every_context_that_may_add_after_its_look() {
        let on_one_cpu = 1 + crate::MAX_NESTING;
        for request in Request::ALL {
            let others = if request.is_to_self_only() { 0 } else { 2 * (crate::MAX_CPUS - 1) };
            let Field { bits, refused_at, .. } = request.field();
            assert!((1 << bits) - refused_at > on_one_cpu + others, "{request:?}");
        }
    }

    #[test]
    fn the_fields_do_not_overlap() {
        let mut seen: usize = 0;
        for request in Request::ALL {
            let field = request.field();
            let mask = ((1 << field.bits) - 1) << field.shift;
            assert_eq!(seen & mask, 0, "{request:?}");
            seen |= mask;
        }
    }
}
