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

/// The send of this CPU that has just begun asks its target to park.
pub fn asks_to_park(to: usize) {
    current().record(&Fact::AsksToPark { to });
}

/// The send to `to` that is under way did not ring. Its request may be taken all the same.
pub fn send_left(to: usize) {
    current().record(&Fact::SendLeft { to });
}

/// This CPU parks.
pub fn parks() {
    let machine = current();
    let cpu = machine.this_cpu();
    let in_nmi = machine.with(|state| state.cpus[cpu].nmi_depth != 0);
    machine.record(&Fact::Parks { cpu, in_nmi });
}

/// A storm has begun on this CPU.
pub fn storm_began() {
    let machine = current();
    machine.record(&Fact::StormBegan(machine.this_cpu()));
}

/// It is over.
pub fn storm_ended() {
    let machine = current();
    machine.record(&Fact::StormEnded(machine.this_cpu()));
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

/// A CPU that hangs was marked offline.
pub fn marked_offline(cpu: usize) {
    current().record(&Fact::WentOffline(cpu));
}

/// This CPU is back.
pub fn came_online() {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.change_cpu(cpu, |cpu| cpu.offline = false);
    machine.record(&Fact::CameOnline(cpu));
}
