// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hardware of a machine, which a scenario fixes before time begins.

use super::Bell;

/// What the machine has.
#[derive(Clone, Copy, Debug)]
pub struct Hardware {
    /// How many CPUs.
    pub cpus: usize,
    /// The local APICs' mode.
    pub apic: Apic,
    /// How long an edge is under way at most whose sender does not delay it, in microseconds.
    pub delivery_us: u64,
    /// The counters.
    pub pmu: PmuKind,
    /// The external devices.
    pub externals: &'static [ExternalKind],
    /// The CPUs that the line of port 0x61 rings, if it is wired.
    pub port61: Option<Route>,
    /// The CPUs that a source without status rings.
    pub button: Route,
    /// The CPUs report NMI sources (FRED).
    pub reports_sources: bool,
    /// The period of the ticks, in microseconds.
    pub tick_period_us: u64,
    /// How far each CPU's clock is ahead of the first one's, in microseconds.
    pub skew_us: &'static [u64],
    /// What every clock is ahead of the world's, in microseconds: what firmware left in it.
    pub clock_ahead_us: u64,
    /// The CPUs that are not started. They take no NMI until they are.
    pub absent: &'static [usize],
}

/// The local APIC's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apic {
    /// The ICR is one MSR (SDM Vol. 3A, "ICR Operation in x2APIC Mode").
    X2,
    /// The ICR is two registers, and writing the lower one sends (SDM Vol. 3A, "Interrupt Command
    /// Register").
    X,
}

/// How performance counters ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PmuKind {
    /// There are none.
    Absent,
    /// The delivery of a PMI sets the mask flag of the LVT entry, and the APIC forgets an overflow
    /// that comes while the flag is set (SDM Vol. 3A, "Local Vector Table": "automatically sets the
    /// mask flag").
    Masking,
    /// The entry does not mask itself, and an edge may be under way for up to `late_us`: AMD's
    /// counters, and KVM's before 2023.
    Free {
        /// In microseconds.
        late_us: u64,
        /// How many edges may still come after the status was consumed.
        max_late_edges: u8,
    },
}

/// The CPUs that a doorbell rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Every CPU.
    All,
    /// The boot CPU.
    Bsp,
    /// These CPUs.
    Some(&'static [usize]),
}

impl Route {
    /// The CPUs that it rings on a machine of `cpus`.
    pub fn cpus(self, cpus: usize) -> impl Iterator<Item = usize> {
        (0..cpus).filter(move |cpu| match self {
            Self::All => true,
            Self::Bsp => *cpu == 0,
            Self::Some(some) => some.contains(cpu),
        })
    }
}

/// How an external device rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Its line stays up as long as its status is set; the rising edge rings.
    LevelHeld,
    /// Each event rings, also if the status is set already: a message.
    PerEvent,
}

/// How software reaches a device's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// Port I/O, which drains the store buffer (SDM Vol. 1, "Ordering I/O").
    Ports,
    /// Uncached memory: registers. Accesses are made in program order.
    Registers,
    /// Ordinary memory, as firmware's error blocks: a read may pass earlier stores to other
    /// addresses.
    Memory,
}

/// An external device with a sticky status.
#[derive(Clone, Copy, Debug)]
pub struct ExternalKind {
    /// How it rings.
    pub ring: Ring,
    /// The CPUs that it rings.
    pub route: Route,
    /// How long its edge is under way at most, in microseconds.
    pub late_us: u64,
    /// How many edges its status merges at most, besides the one that each has.
    pub max_late_edges: u8,
    /// How software reaches its registers.
    pub bus: Bus,
    /// It raises nothing new before software has acknowledged the last event: firmware and its
    /// error block (ACPI 18.3.2.8, "Generic Hardware Error Source version 2").
    pub waits_for_ack: bool,
}

impl Hardware {
    /// Two CPUs in x2APIC mode, nothing that rings but software.
    pub const BARE: Self = Self {
        cpus: 2,
        apic: Apic::X2,
        delivery_us: 100,
        pmu: PmuKind::Absent,
        externals: &[],
        port61: None,
        button: Route::Bsp,
        reports_sources: false,
        tick_period_us: 1_000,
        skew_us: &[],
        clock_ahead_us: 0,
        absent: &[],
    };

    /// Whether a machine-wide doorbell rings that CPU, by the route that it has to begin with.
    pub fn rings(&self, bell: Bell, cpu: usize) -> bool {
        let route = match bell {
            Bell::External(index) => Some(self.externals[usize::from(index)].route),
            Bell::Port61 => self.port61,
            _ => None,
        };
        route.is_some_and(|route| route.cpus(self.cpus).any(|one| one == cpu))
    }

    /// How long any edge on it is under way at most, in microseconds.
    pub fn longest_late_us(&self) -> u64 {
        let pmu_us = match self.pmu {
            PmuKind::Free { late_us, .. } => late_us,
            PmuKind::Absent | PmuKind::Masking => 0,
        };
        let externals = self.externals.iter().map(|kind| kind.late_us);
        externals.chain([pmu_us, self.delivery_us]).max().unwrap_or(0)
    }
}

impl ExternalKind {
    /// A line that is held until its status is cleared.
    pub const fn level_held(route: Route) -> Self {
        Self {
            ring: Ring::LevelHeld,
            route,
            late_us: 100,
            max_late_edges: 1,
            bus: Bus::Registers,
            waits_for_ack: false,
        }
    }

    /// A message for each event, of which its status merges `max_late_edges` besides the first.
    pub const fn per_event(route: Route, max_late_edges: u8) -> Self {
        Self { ring: Ring::PerEvent, max_late_edges, ..Self::level_held(route) }
    }

    /// Firmware with an error block.
    pub const fn error_block(route: Route) -> Self {
        Self { bus: Bus::Memory, waits_for_ack: true, ..Self::per_event(route, 1) }
    }
}
