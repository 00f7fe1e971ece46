// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CPU's seat: where the CPU is, and the count of its rings and of the NMIs that it has seen.
//!
//! Each CPU has one sender, which rings only when the CPU has seen every earlier ring. So no two
//! rings collapse, and every figure is exact. Between INIT and the moment at which it has loaded
//! its interrupt table, a CPU can take no NMI at all. So CPU 0 *closes* its seat before, and waits
//! until the sender is not between its look at the place and its ring.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use latchwork::{CpuStats, Request, SendError};

use super::super::Tally;
use crate::apic;
use crate::cpu::MAX_CPUS;
use crate::nmi::NMI;

/// Where a CPU is, as the scenario knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Place {
    /// Online: its sender sends it requests.
    Here = 0,
    /// Offline, and able to take NMIs: its sender rings it past the library.
    Away = 1,
    /// Only the CPU itself rings it.
    Closed = 2,
    /// It is inside a call that does not return, where it waits for the INIT that stops it.
    Trapped = 3,
}

#[derive(Debug)]
pub(super) struct Seat {
    /// The CPU writes it, and CPU 0 while the CPU is stopped. SeqCst, as is `ringing`: the sender
    /// and the CPU that closes each store their own word and then load the other's.
    place: AtomicUsize,
    ringing: AtomicBool,
    /// Requests that the library accepted for this CPU.
    pub(super) sent: Tally,
    /// Rings made without the library.
    pub(super) bare: Tally,
    /// Sends that the library refused because this CPU was offline.
    pub(super) refused: Tally,
    /// Rings whose NMI a stop cut short or took away.
    pub(super) cut: Tally,
}

static SEATS: [Seat; MAX_CPUS] = [const {
    Seat {
        place: AtomicUsize::new(Place::Here as usize),
        ringing: AtomicBool::new(false),
        sent: Tally::new(),
        bare: Tally::new(),
        refused: Tally::new(),
        cut: Tally::new(),
    }
}; MAX_CPUS];

/// The seat of `cpu`, which is below [`MAX_CPUS`].
pub(super) fn of(cpu: usize) -> &'static Seat {
    &SEATS[cpu]
}

/// The seat of `cpu`, if it has one. NMI-safe.
pub(super) fn get(cpu: usize) -> Option<&'static Seat> {
    SEATS.get(cpu)
}

/// The sum of one tally over all seats.
pub(super) fn sum(part: fn(&Seat) -> &Tally) -> u64 {
    SEATS.iter().map(|seat| part(seat).get()).sum()
}

/// What the library has counted about `cpu`.
pub(super) fn stats(cpu: usize) -> CpuStats {
    NMI.cpu_stats(cpu).unwrap_or_default()
}

/// NMIs that `cpu` has seen to their end.
pub(super) fn seen(cpu: usize) -> u64 {
    let CpuStats { edges, offline, .. } = stats(cpu);
    (edges + offline) as u64
}

impl Seat {
    pub(super) fn is(&self, place: Place) -> bool {
        self.place.load(Ordering::SeqCst) == place as usize
    }

    pub(super) fn set(&self, place: Place) {
        self.place.store(place as usize, Ordering::SeqCst);
    }

    /// Whether its sender is about to ring, or has just rung.
    pub(super) fn is_being_rung(&self) -> bool {
        self.ringing.load(Ordering::SeqCst)
    }

    /// How many of its rings the CPU has not seen.
    pub(super) fn due(&self, cpu: usize) -> u64 {
        (self.sent.get() + self.bare.get()).saturating_sub(seen(cpu) + self.cut.get())
    }
}

/// Rings `cpu` unless an earlier ring is still due: through the library, and past it once the
/// library refuses. Called by its one sender, in a thread.
pub(super) fn ring(cpu: usize) {
    let seat = of(cpu);
    seat.ringing.store(true, Ordering::SeqCst);
    let is_here = seat.is(Place::Here);
    if (is_here || seat.is(Place::Away)) && seat.due(cpu) == 0 {
        match NMI.send(cpu, Request::Call) {
            Ok(()) => seat.sent.add(1),
            Err(SendError::Offline { .. }) => {
                seat.refused.add(1);
                if !is_here {
                    ring_bare(cpu);
                }
            }
            Err(error) => panic!("CPU {cpu} could not be rung: {error}"),
        }
    }
    seat.ringing.store(false, Ordering::SeqCst);
}

/// Rings `cpu` without telling the library, as a device would.
pub(super) fn ring_bare(cpu: usize) {
    of(cpu).bare.add(1);
    if let Err(error) = apic::send_nmi(cpu) {
        panic!("CPU {cpu} could not be rung: {error:?}");
    }
}

/// Sends `request` to `cpu`, whose seat is closed. It counts before it sends: CPU 0 may stop a CPU
/// in the NMI that the CPU sends itself.
pub(super) fn send(cpu: usize, request: Request) {
    of(cpu).sent.add(1);
    if let Err(error) = NMI.send(cpu, request) {
        panic!("CPU {cpu} could not be sent {request:?}: {error}");
    }
}
