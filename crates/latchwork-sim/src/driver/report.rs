// SPDX-License-Identifier: MIT OR Apache-2.0
//! What kernel code reports to the monitors that judge it.

use crate::machine::{Bell, Fact, Reported, current};

/// A report about the NMI `serial` of this CPU.
pub fn report(serial: usize, reported: Reported) {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.record(&Fact::Report { cpu, serial, reported });
}

/// `edges` edges of this CPU wait to be settled.
pub fn unsettled(edges: usize) {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.record(&Fact::Unsettled { cpu, edges });
}

/// This CPU has taken and served the requests of `sends` sends. The scenario asked for `asked` of
/// them, and the policy itself for the others.
pub fn served(sends: usize, asked: usize) {
    let machine = current();
    machine.record(&Fact::Served { cpu: machine.this_cpu(), sends, asked });
}

/// This CPU has taken the requests of `sends` sends and dropped them, since it is offline.
pub fn dropped(sends: usize) {
    let machine = current();
    machine.record(&Fact::Dropped { cpu: machine.this_cpu(), sends });
}

/// A send to `to` begins: from here on `to` can take its request.
pub fn send_begins(to: usize) {
    current().begin_send(to);
}

/// The send of this CPU that began last is over. Its request counts, or it was refused.
pub fn send_ends(accepted: bool) {
    current().end_send(accepted);
}

/// Runs the handler of `bell`'s doorbell, and reports the call to the monitor of removals.
pub fn call<R>(bell: Bell, handler: impl FnOnce() -> R) -> R {
    let machine = current();
    machine.record(&Fact::Called(bell));
    let result = handler();
    machine.record(&Fact::Returned(bell));
    result
}

/// Claims the condition behind `bell` outside NMIs.
pub fn claim_outside(bell: Bell, claim: impl FnOnce()) {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.record(&Fact::ClaimsOutside { bell, cpu });
    claim();
    machine.record(&Fact::ClaimedOutside { cpu });
}

/// From here on the policy asks a handler of that doorbell, whose route is open.
pub fn attended(bell: Bell) {
    current().record(&Fact::Attended(bell));
}

/// A removal of that doorbell's handler begins.
pub fn leaving(bell: Bell) {
    current().record(&Fact::Leaving(bell));
}

/// A removal of that doorbell's handler has returned.
pub fn removed(bell: Bell) {
    current().record(&Fact::Removed(bell));
}

/// Item `item` is about to be queued.
pub fn queue_begins(item: usize) {
    current().record(&Fact::QueueBegan(item));
}

/// The queueing has returned: it queued the item for a run of its own if `anew`.
pub fn queue_ends(item: usize, anew: bool) {
    current().record(&Fact::QueueEnded { item, anew });
}

/// Item `item` runs.
pub fn ran(item: usize) {
    current().record(&Fact::Ran(item));
}

/// This CPU has gone offline: it takes no part any more.
pub fn went_offline() {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.change_cpu(cpu, |cpu| cpu.offline = true);
    machine.record(&Fact::WentOffline(cpu));
}

/// This CPU is back.
pub fn came_online() {
    let machine = current();
    machine.change_cpu(machine.this_cpu(), |cpu| cpu.offline = false);
}
