// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual machine that the user asks for.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The most CPUs on which xtask starts the reference kernel.
pub const MAX_CPUS: u8 = 8;

/// The kind of PC, by QEMU's name for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    /// A chipset with PCI Express and a memory controller of 2007 (Intel Q35, ICH9).
    Q35,
    /// A chipset with PCI of 1996 (Intel 440FX, PIIX3).
    Pc,
}

/// The mode of the local APICs that the guest's command line names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Apic {
    /// Memory-mapped registers, two-register ICR.
    Xapic,
    /// MSRs, one 64-bit ICR; under QEMU, from release 9 on.
    X2apic,
}

/// How guest time and guest CPUs advance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// One host thread, one tick per instruction: repeatable to the instruction, unless the host
    /// acts on the guest (the NMI button, events in its memory).
    Deterministic,
    /// One host thread per CPU: real parallelism, host time.
    Parallel,
}

/// One machine configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Machine {
    /// The kind of PC.
    pub machine_type: MachineType,
    /// Number of CPUs, 1 to [`MAX_CPUS`].
    pub cpus: u8,
    /// Interrupt controller mode.
    pub apic: Apic,
    /// Time and parallelism.
    pub clock: Clock,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine_type, cpus, apic, clock } = self;
        let (machine_type, apic, clock) = (machine_type.name(), apic.name(), clock.name());
        write!(f, "{machine_type}, {cpus} CPUs, {apic}, {clock} clock")
    }
}

impl MachineType {
    /// Both types.
    pub const ALL: [Self; 2] = [Self::Q35, Self::Pc];

    /// The name used on command lines, in records and in test names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Pc => "pc",
        }
    }
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
