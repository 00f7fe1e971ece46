// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel command line: `key=value` words separated by blanks.

/// The command line, borrowed from boot memory that nobody reuses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLine {
    text: &'static str,
}

impl CommandLine {
    /// Wraps the text of a command line.
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text }
    }

    /// The text as given.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// The value of the last word that begins with `key=`.
    pub(crate) fn value(&self, key: &str) -> Option<&'static str> {
        self.text
            .split_ascii_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .next_back()
    }

    /// A number, if the key is there and its value is one.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }
}
