// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual machine that is asked for.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The most CPUs the reference kernel is started on.
pub const MAX_CPUS: u8 = 8;

/// The interrupt controller mode the guest is told to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Apic {
    /// Memory-mapped registers, two-register ICR.
    Xapic,
    /// MSRs, one 64-bit ICR; needs QEMU 9 or later.
    X2apic,
}

/// How guest time and guest CPUs advance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// One host thread, one tick per instruction: bit for bit repeatable.
    Deterministic,
    /// One host thread per CPU: real parallelism, host time.
    Parallel,
}

/// One machine configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Machine {
    /// Number of CPUs, 1 to [`MAX_CPUS`].
    pub cpus: u8,
    /// Interrupt controller mode.
    pub apic: Apic,
    /// Time and parallelism.
    pub clock: Clock,
}

impl Apic {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::Xapic, Self::X2apic];

    /// The name used on command lines, in records and in test names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xapic => "xapic",
            Self::X2apic => "x2apic",
        }
    }
}

impl Clock {
    /// Both clocks.
    pub const ALL: [Self; 2] = [Self::Deterministic, Self::Parallel];

    /// The name used on command lines and in test names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::Parallel => "parallel",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.cpus == 1 { "" } else { "s" };
        write!(f, "{} CPU{plural}, {}, {}", self.cpus, self.apic.name(), self.clock.name())
    }
}
