// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's side of Latchwork: its one dispatcher, its platform, and the NMI entry.

pub(crate) mod entry;
pub(crate) mod parking;
pub(crate) mod platform;
mod port_61;
pub(crate) mod reports;
pub(crate) mod steps;

use latchwork::{
    Class, Doorbell, EdgeModel, HandlerId, HandlerSpec, Limits, Nmi, NmiHandler, PerCpu,
    PlatformDelivery, RegisterError, Registration,
};
use latchwork_x86::cpuid;

use crate::cpu::MAX_CPUS;
use crate::smp;
use crate::waiting::{Waiting, awaited};
use platform::Machine;

/// The NMI subsystem of this kernel.
pub(crate) static NMI: Nmi<Machine> = Nmi::new(Machine);

static PER_CPU: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];

/// Hands the library its per-CPU areas, and sets its limits for this machine. Boot CPU, once.
pub(crate) fn init(cpus: usize) {
    let areas = PER_CPU.get(..cpus).unwrap_or(&PER_CPU);
    if let Err(error) = NMI.init(areas) {
        panic!("the NMI subsystem was refused: {error}");
    }
    set_limits(limits());
}

/// Has every CPU say that it is online. Boot CPU, once, with interrupts on.
pub(crate) fn bring_all_online() {
    smp::on_all_cpus(&|_| {
        if let Err(error) = NMI.come_online() {
            panic!("a CPU cannot come online: {error}");
        }
    });
}

/// The library's limits for this machine.
pub(crate) fn limits() -> Limits {
    if cpuid::features().hypervisor { Limits::HYPERVISOR } else { Limits::BARE_METAL }
}

/// Changes the library's limits. Ordinary context.
pub(crate) fn set_limits(limits: Limits) {
    if let Err(error) = NMI.set_limits(limits) {
        panic!("the NMI subsystem refuses its limits: {error}");
    }
}

/// Registers a handler of `class` behind the software doorbell. Waits for a slot if a removed
/// handler still occupies it. Ordinary context.
pub(crate) fn register<H: NmiHandler>(
    name: &str,
    class: Class,
    priority: u8,
    handler: &'static H,
) -> Registration {
    let spec = HandlerSpec::new(name, class, Doorbell::Software, EdgeModel::PerCondition);
    register_as(&spec.priority(priority), handler)
}

/// Registers a handler as `spec` says. Waits for a slot if a removed handler still occupies it.
/// Ordinary context.
pub(crate) fn register_as<H: NmiHandler>(
    spec: &HandlerSpec<'_>,
    handler: &'static H,
) -> Registration {
    let waiting = Waiting::begin(awaited!("a handler's slot to be free again"));
    loop {
        match NMI.register(spec, handler) {
            Ok(registration) => return registration,
            Err(RegisterError::ClassFull { draining, .. }) if draining != 0 => {
                core::hint::spin_loop();
                waiting.check();
            }
            Err(error) => panic!("a handler was refused: {error} ({spec:?})"),
        }
    }
}

/// Tells the library which CPUs the doorbell of a Platform handler rings from now on. Ordinary
/// context, before the route is opened.
pub(crate) fn set_delivery(handler: HandlerId, cpus: &[usize]) {
    if let Err(error) = NMI.set_delivery(handler, PlatformDelivery::Cpus(cpus)) {
        panic!("a route was refused: {error} (to CPUs {cpus:?})");
    }
}

/// Ends a registration for good. Ordinary context.
pub(crate) fn remove(registration: Registration) {
    let _waiting = Waiting::begin(awaited!("the last call of a handler that is removed"));
    if let Err(error) = registration.remove() {
        panic!("a removal failed: {error}");
    }
}
