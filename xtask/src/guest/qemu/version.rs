// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's release numbers.

use std::fmt;

/// A release number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    major: u32,
    minor: u32,
    micro: u32,
}

impl Version {
    /// The first release of `major.minor`.
    pub(crate) const fn of(major: u32, minor: u32) -> Self {
        Self { major, minor, micro: 0 }
    }

    /// The number in the output of `--version`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let after = text.split("version ").nth(1)?;
        let digits = after.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = digits.split('.').map(|part| part.parse().ok());
        Some(Self {
            major: parts.next()??,
            minor: parts.next()??,
            micro: parts.next().flatten().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Version::parse(text).map(|version| version.to_string())
    }

    #[test]
    fn distribution_and_plain_versions_are_read() {
        let debian = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\n\
            Copyright (c) 2003-2025";
        assert_eq!(shown(debian).as_deref(), Some("10.0.2"));
        assert_eq!(shown("QEMU emulator version 9.1").as_deref(), Some("9.1.0"));
        let candidate = "QEMU emulator version 8.2.94 (v9.0.0-rc4)";
        assert_eq!(shown(candidate).as_deref(), Some("8.2.94"));
        assert_eq!((shown("no such thing"), shown("version x")), (None, None));
    }

    #[test]
    fn releases_are_ordered_by_number_and_not_by_letter() {
        let parse = |text| Version::parse(text).expect(text);
        assert!(parse("version 7.2.22") < Version::of(9, 0));
        assert!(Version::of(9, 0) < parse("version 10.0.2"));
        assert!(Version::of(7, 2) <= parse("version 7.2"));
    }
}
