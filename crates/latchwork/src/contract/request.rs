// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a software NMI asks for, and a set of such requests: one counter per [`Request`], packed in
//! one word.
//!
//! They are counters and not bits because every sender rings: if one NMI takes three sends, up to
//! two more edges come and find nothing, and the receiver must know how many.
//!
//! A sender adds nothing to a counter that stands at half its range
//! ([`SendError::Saturated`](crate::SendError::Saturated)). So the counter cannot overflow into its
//! neighbour: a sender keeps interrupts off between its look and its addition, so each CPU has at
//! most two contexts between the two, a thread and an NMI, and the other half of the range has room
//! for all of them. `Probe`, `Selftest` and `Again` have narrower counters, so a CPU sends
//! them to itself only.

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
}

impl Field {
    pub(crate) const fn unit(self) -> usize {
        1 << self.shift
    }

    pub(crate) const fn count_in(self, word: usize) -> usize {
        word >> self.shift & !(usize::MAX << self.bits)
    }

    pub(crate) const fn refused_at(self) -> usize {
        1 << self.bits >> 1
    }
}

impl Request {
    pub(crate) const ALL: [Self; 6] =
        [Self::Stop, Self::Backtrace, Self::Call, Self::Probe, Self::Selftest, Self::Again];

    const WIDE_BITS: u32 = if usize::BITS >= 64 { 16 } else { 8 };
    const NARROW_BITS: u32 = if usize::BITS >= 64 { 5 } else { 2 };

    pub(crate) const fn field(self) -> Field {
        match self {
            Self::Stop => Field { shift: 0, bits: Self::WIDE_BITS },
            Self::Backtrace => Field { shift: Self::WIDE_BITS, bits: Self::WIDE_BITS },
            Self::Call => Field { shift: 2 * Self::WIDE_BITS, bits: Self::WIDE_BITS },
            Self::Probe => Self::narrow(0),
            Self::Selftest => Self::narrow(1),
            Self::Again => Self::narrow(2),
        }
    }

    const fn narrow(index: u32) -> Field {
        let wide = Self::WIDE_BITS.wrapping_mul(3);
        let shift = wide.wrapping_add(Self::NARROW_BITS.wrapping_mul(index));
        Field { shift, bits: Self::NARROW_BITS }
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
    fn the_other_half_has_room_for_every_context_that_may_add_after_its_look() {
        for request in Request::ALL {
            let contexts = if request.is_to_self_only() { 2 } else { 2 * crate::MAX_CPUS };
            assert!(request.field().refused_at() >= contexts, "{request:?}");
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
