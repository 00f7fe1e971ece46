// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the other CPUs do: they ring, go away on CPU 0's order, and come back.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use latchwork::Request;

use super::handlers;
use super::seat::{self, Place};
use crate::cpu::{self, MAX_CPUS};
use crate::nmi::NMI;
use crate::waiting::{Awaited, Waiting, awaited};
use crate::{apic, idle, patience, time};

/// What CPU 0 wants of another CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Order {
    /// Ring.
    Ring = 0,
    /// Do nothing, so that no stop comes between a request and its ring: nobody could account for
    /// such a request.
    Hush = 1,
    /// The answer to `Hush`: the CPU does nothing.
    Hushed = 2,
    /// Go offline and halt.
    Leave = 3,
    /// Wait, outside any NMI, to be stopped.
    WaitToBeStopped = 4,
    /// Make the library ask the Platform handlers, and nothing else.
    Probe = 5,
    /// Come back.
    Return = 6,
}

/// CPU 0 writes it; the CPU itself sets it back to `Ring`. SeqCst, to be as strict as possible.
static ORDERS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// Gusts of the storm: CPU 0 counts them, and each other CPU sends once a gust.
static GUSTS: AtomicU64 = AtomicU64::new(0);

/// The storm is over. CPU 0 stores, Release; the others load, Acquire.
static OVER: AtomicBool = AtomicBool::new(false);

/// Round trips of NMIs that CPUs sent themselves, in ticks.
#[derive(Debug)]
pub(super) struct RoundTrips {
    pub(super) quickest: AtomicU64,
    pub(super) slowest: AtomicU64,
}

impl RoundTrips {
    const fn new() -> Self {
        Self { quickest: AtomicU64::new(u64::MAX), slowest: AtomicU64::new(0) }
    }
}

pub(super) static ONLINE: RoundTrips = RoundTrips::new();
pub(super) static OFFLINE: RoundTrips = RoundTrips::new();

/// The mistakes that a fault asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mistakes {
    /// CPUs do not tell the library that they go offline.
    pub(super) unannounced: bool,
    /// No CPU rings.
    pub(super) no_storm: bool,
}

/// Gives `cpu` an order. CPU 0.
pub(super) fn order(cpu: usize, order: Order) {
    ORDERS[cpu].store(order as usize, Ordering::SeqCst);
    blow();
}

/// Makes every other CPU send once more. CPU 0.
pub(super) fn blow() {
    GUSTS.fetch_add(1, Ordering::Release);
    apic::send_wake_to_others();
}

/// Ends the storm, and every wait for it. CPU 0.
pub(super) fn end_storm(cpus: usize) {
    OVER.store(true, Ordering::Release);
    apic::send_wake_to_others();
    for cpu in (1..cpus).filter(|cpu| seat::of(*cpu).is(Place::Away)) {
        seat::ring_bare(cpu);
    }
}

fn is_over() -> bool {
    OVER.load(Ordering::Acquire)
}

/// Spins until `done`, or until the storm is over because something went wrong.
fn spin_until(awaited: Awaited, done: impl Fn() -> bool) {
    patience::spin(awaited, || done() || is_over());
}

/// Whether `cpu` has this order, or has given this answer.
pub(super) fn is_ordered(cpu: usize, order: Order) -> bool {
    ORDERS[cpu].load(Ordering::SeqCst) == order as usize
}

/// The CPU that `sender` rings: the sender of each CPU is the next CPU.
pub(super) fn target_of(sender: usize, cpus: usize) -> usize {
    (sender + cpus - 1) % cpus
}

/// The job of every CPU but the first.
pub(super) fn attend(cpu: usize, cpus: usize, mistakes: Mistakes) {
    let seat = seat::of(cpu);
    if seat.is(Place::Trapped) {
        let enabled = cpu::interrupts_off();
        stay_away(cpu);
        come_back(cpu, enabled);
    }
    let mut gust = 0;
    loop {
        let blown = || GUSTS.load(Ordering::Acquire) != gust;
        idle::until(awaited!("the storm's next gust").without_limit(), || blown() || is_over());
        if is_over() {
            return;
        }
        gust = GUSTS.load(Ordering::Acquire);
        if is_ordered(cpu, Order::Hush) {
            ORDERS[cpu].store(Order::Hushed as usize, Ordering::SeqCst);
        } else if is_ordered(cpu, Order::Hushed) {
            // Waits to be trapped.
        } else if is_ordered(cpu, Order::Leave) {
            leave(cpu, mistakes);
        } else if is_ordered(cpu, Order::WaitToBeStopped) {
            cpu::interrupts_off();
            close(cpu);
            handlers::wait_to_be_stopped(cpu);
        } else if is_ordered(cpu, Order::Probe) {
            ORDERS[cpu].store(Order::Ring as usize, Ordering::SeqCst);
            probe(cpu);
        } else if !mistakes.no_storm {
            seat::ring(target_of(cpu, cpus));
        }
    }
}

/// Closes this CPU's seat, so that no other CPU rings it, and waits until it has seen all rings.
fn close(cpu: usize) {
    let seat = seat::of(cpu);
    seat.set(Place::Closed);
    let is_calm = || !seat.is_being_rung() && seat.due(cpu) == 0;
    spin_until(awaited!("what was rung here to be seen"), is_calm);
}

/// Makes this CPU ask the Platform handlers, while no other CPU rings it. CPU 0 stops it in there.
/// If some tick polls just then, the library leaves the handlers to that poll, and this CPU tries
/// again.
fn probe(cpu: usize) {
    close(cpu);
    while !is_over() {
        seat::send(cpu, Request::Probe);
        spin_until(awaited!("its own probe"), || seat::of(cpu).due(cpu) == 0);
    }
    seat::of(cpu).set(Place::Here);
}

/// How long one NMI takes that this CPU, whose seat is closed, sends itself.
fn time_one(cpu: usize, ring: impl FnOnce(usize), trips: &RoundTrips) {
    let start = time::now_ticks();
    ring(cpu);
    spin_until(awaited!("its own NMI"), || seat::of(cpu).due(cpu) == 0);
    let took = time::now_ticks().saturating_sub(start);
    trips.quickest.fetch_min(took, Ordering::Relaxed);
    trips.slowest.fetch_max(took, Ordering::Relaxed);
}

fn leave(cpu: usize, mistakes: Mistakes) {
    let enabled = cpu::interrupts_off();
    close(cpu);
    time_one(cpu, |cpu| seat::send(cpu, Request::Selftest), &ONLINE);
    if !mistakes.unannounced {
        // A ring that comes between the two is part of the scenario: it finds the CPU online or
        // offline.
        seat::of(cpu).set(Place::Here);
        if let Err(error) = NMI.go_offline() {
            panic!("CPU {cpu} could not go offline: {error}");
        }
        NMI.run_work();
        close(cpu);
        time_one(cpu, seat::ring_bare, &OFFLINE);
    }
    stay_away(cpu);
    come_back(cpu, enabled);
}

/// Halts with interrupts off, so that nothing but NMIs wakes this CPU, until it is to return.
fn stay_away(cpu: usize) {
    seat::of(cpu).set(Place::Away);
    let waiting = Waiting::begin(awaited!("the order to return: it is offline"));
    while !is_ordered(cpu, Order::Return) && !is_over() {
        x86_64::instructions::hlt();
    }
    drop(waiting);
    close(cpu);
}

fn come_back(cpu: usize, interrupts_enabled: bool) {
    if let Err(error) = NMI.come_online() {
        panic!("CPU {cpu} could not come online: {error}");
    }
    NMI.run_work();
    ORDERS[cpu].store(Order::Ring as usize, Ordering::SeqCst);
    seat::of(cpu).set(Place::Here);
    cpu::interrupts_restore(interrupts_enabled);
}
