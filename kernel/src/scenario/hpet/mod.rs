// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HPET timer rings one CPU after the other, through an I/O APIC entry in NMI mode, while that
//! CPU spins with interrupts off.
//!
//! The timer's output is a level, so its status bit is a condition that stays until the handler
//! clears it; the entry is edge-triggered, so each condition rings once. First the timer is
//! periodic, and the scenario compares claims with the periods of the main counter. Then each CPU
//! sets it to fire once, again and again, and each time it rings once.
//!
//! Where time is counted in instructions, every period has its claim. Where CPUs share a busy host,
//! the emulator's timer or its CPU may be late by more than a period, and two periods have one
//! claim. Such a period is not lost: the spinning CPU reads the status at every turn and never sees
//! it stay set ([`turn::MAX_LOOKS`]), so no NMI was missing. The scenario reports which of the two
//! was late, and how late.

mod findings;
mod periods;
mod ticker;
mod turn;

use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{
    Class, Doorbell, EdgeModel, HandlerId, HandlerSpec, PinnedHandler, PinnedRegistration,
    PlatformDelivery,
};
use latchwork_x86::hpet::Trigger;
use latchwork_x86::ioapic::Mask;

use super::{Progress, Run};
use crate::console::println;
use crate::hpet::{self, Wiring};
use crate::ioapic::NmiLine;
use crate::nmi::{self, NMI};
use crate::smp;
use findings::Findings;
use ticker::{Mistakes, Ticker};
use turn::Turn;

pub(super) fn run(run: &Run) {
    let hpet = hpet::find();
    let was_running = hpet.is_running();
    let trigger = if run.has_fault("edge-output") { Trigger::Edge } else { Trigger::Level };
    let wiring = Wiring::choose(&hpet, trigger);
    let mut line = NmiLine::of_interrupt(wiring.interrupt, wiring.polarity);
    println!(
        "HPET timer {} at interrupt {}, {} fs a tick",
        wiring.timer,
        wiring.interrupt,
        hpet.capabilities().period_fs()
    );

    let mistakes =
        Mistakes { no_ack: run.has_fault("no-ack"), uncounted: run.has_fault("uncounted-claim") };
    let ticker = pin!(PinnedHandler::new(Ticker::new(hpet, wiring.timer, mistakes)));
    let ticker = ticker.into_ref();
    let registration = register(ticker, &wiring);
    let claims = || claims_of(run, registration.id());

    wiring.connect(&hpet);
    hpet.start();
    let findings = Findings::new();
    let progress = Progress::new(run.cpus as u64);
    for target in 0..run.cpus {
        nmi::set_delivery(registration.id(), &[target]);
        let rung = if run.has_fault("wrong-cpu") { (target + 1) % run.cpus } else { target };
        line.route_to(rung, if run.has_fault("masked") { Mask::Masked } else { Mask::Unmasked });
        NMI.owe_poll();
        // The library owes a poll for a new route, and that poll may find an old status. After it,
        // only the CPU that the timer rings reads the status.
        run.let_grants_end();
        let claims_before = claims();
        let complete = AtomicBool::new(false);
        smp::on_all_cpus(&|cpu| {
            if cpu == target {
                let ticker = ticker.get_ref().get();
                let turn = Turn::new(cpu, hpet, wiring, ticker, &findings);
                complete.store(turn.run(), Ordering::Relaxed);
            }
        });
        findings.claimed_in_turns.add(claims() - claims_before);
        // After one turn in which something did not come, the others would wait in vain.
        if !complete.load(Ordering::Relaxed) {
            break;
        }
        progress.at(target as u64 + 1);
    }
    line.mask();
    wiring.disconnect(&hpet);
    if !was_running {
        hpet.halt();
    }
    run.settle();
    findings.check(run, &hpet);
}

/// Claims of the handler so far, on all CPUs.
fn claims_of(run: &Run, handler: HandlerId) -> u64 {
    let stats = (0..run.cpus).filter_map(|cpu| NMI.handler_stats(handler, cpu).ok());
    stats.map(|stats| stats.claims as u64).sum()
}

fn register<'a>(ticker: Pin<&'a PinnedHandler<Ticker>>, wiring: &Wiring) -> PinnedRegistration<'a> {
    let doorbell = Doorbell::Platform(wiring.interrupt as u16);
    let spec = HandlerSpec::new("hpet", Class::Platform, doorbell, EdgeModel::PerCondition)
        .delivery(PlatformDelivery::Cpus(&[]));
    match ticker.register(&NMI, &spec) {
        Ok(registration) => registration,
        Err(error) => panic!("the HPET's handler was refused: {error}"),
    }
}
