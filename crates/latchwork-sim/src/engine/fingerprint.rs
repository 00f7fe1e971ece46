// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hashes of states: 64 bits that stand for a whole machine.

use std::hash::Hasher;

/// Takes in what makes up a state, in order.
///
/// It is a [`Hasher`], so that a world can `self.state.hash(fingerprint)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Nothing taken in yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }

    /// Takes in a value.
    #[inline]
    pub fn fold(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value, 0x9e37_79b9_7f4a_7c15).wrapping_add(self.0.rotate_left(23));
    }

    /// The hash.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut parts = bytes.chunks_exact(8);
        for part in parts.by_ref() {
            self.fold(part.try_into().map_or(0, u64::from_le_bytes));
        }
        let rest = parts.remainder().iter();
        self.fold(rest.fold(bytes.len() as u64, |rest, byte| rest << 8 | u64::from(*byte)));
    }
    fn write_u8(&mut self, value: u8) {
        self.fold(value.into());
    }
    fn write_u16(&mut self, value: u16) {
        self.fold(value.into());
    }
    fn write_u32(&mut self, value: u32) {
        self.fold(value.into());
    }
    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }
}

/// Multiplies to 128 bits and folds them: every bit of both factors reaches every bit of the
/// result.
#[inline]
const fn mix(left: u64, right: u64) -> u64 {
    let product = (left as u128).wrapping_mul(right as u128);
    (product as u64) ^ (product >> 64) as u64
}

/// Turns similar values into dissimilar ones, each into one of its own (the finaliser of
/// SplitMix64).
#[inline]
pub(super) const fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A hasher for what is a hash already.
#[derive(Default)]
pub(super) struct IsHash(u64);

impl Hasher for IsHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("the keys are u64")
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
