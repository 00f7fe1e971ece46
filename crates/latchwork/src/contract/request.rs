// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a software NMI asks for, and a set of such requests: one counter per [`Request`], packed in
//! one word.
//!
//! They are counters and not bits because every sender rings: if one NMI takes three sends, up to
//! two more edges come and find nothing, and the receiver must know how many.
//!
//! A sender adds nothing to a counter that stands at its limit, long before it is full
//! ([`SendError::Saturated`](crate::SendError::Saturated)). So the counter cannot overflow into its
//! neighbour: a sender keeps interrupts off between its look and its addition, so on each CPU only
//! a thread and the NMIs that nest on top of it can be between the two, and the rest of the range
//! has room for all of them. `Probe`, `Selftest` and `Again` have narrower counters, so a CPU sends
//! them to itself only.
//!
//! On 64-bit targets there is room for [`MAX_NESTING`](crate::MAX_NESTING) NMIs on one CPU, and for
//! two on each of all others; on 32-bit ones, for a thread and an NMI on each.

/// What a software NMI asks of the CPU that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Park, after leaving the read side.
    Stop = 0,
    /// Report where this CPU is.
    Backtrace = 1,
    /// Do what the kernel has agreed with itself.
    Call = 2,
    /// Ask the Platform handlers, whatever else explains the edge. A CPU sends it to itself only.
    Probe = 3,
    /// Prove that NMIs arrive. A CPU sends it to itself only.
    Selftest = 4,
    /// Take an NMI for what this CPU has noted for itself. Only the library sends it, on a CPU to
    /// itself.
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

    /// Whether a CPU may send it to itself only.
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

    /// Whether the set holds no send.
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
