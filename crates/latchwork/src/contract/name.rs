// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler's name, copied so that it outlives the module that registered the handler.

use core::fmt;

/// A handler's name: 1 to [`Name::MAX_BYTES`] bytes of UTF-8, by value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Self::MAX_BYTES],
    len: u8,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 31;

    pub(crate) const EMPTY: Self = Self { bytes: [0; Self::MAX_BYTES], len: 0 };

    pub(crate) fn copy_of(text: &str) -> Option<Self> {
        let mut name = Self::EMPTY;
        name.bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        name.len = u8::try_from(text.len()).ok()?;
        (!text.is_empty()).then_some(name)
    }

    /// The name as text. NMI-safe.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_whole_or_refused() {
        let longest = "x".repeat(Name::MAX_BYTES);
        assert_eq!(Name::copy_of(&longest).unwrap().as_str(), longest);
        assert_eq!(Name::copy_of(&(longest + "x")), None);
        assert_eq!(Name::copy_of(""), None);
        assert_eq!(Name::copy_of("zähler").unwrap().as_str(), "zähler");
    }
}
