// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handlers: what drivers do with the machine's registers.

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, PlatformDelivery,
};

use super::kernel;
use crate::{
    driver::{external, pmu, port61, report},
    machine::{Bell, Machine, PmuKind, Ring, Route, pmu::bit},
};

/// The local vector table's entry for performance counters, as Latchwork numbers its doorbells.
const LVT_PERFORMANCE: u8 = 4;
/// The doorbell of port 0x61's line.
const LINE_61: u16 = 0x61;

/// The handler of PMIs.
pub(super) struct Pmis;
/// The handler of the trace buffer, where it has one of its own.
pub(super) struct Trace;
/// The handler of external device `.0`.
pub(super) struct External(u8);
/// The handler of port 0x61.
pub(super) struct Line61;

/// One handler for each external device that a scenario can have.
pub(super) static EXTERNALS: [External; 4] = [External(0), External(1), External(2), External(3)];

// SAFETY: it reaches registers only, waits for nothing, and consumes what it claims.
unsafe impl NmiHandler for Pmis {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        report::call(Bell::Lvt, || {
            let plan = kernel().plan;
            let own = if plan.trace_is_apart() { bit::COUNTERS } else { bit::COUNTERS | bit::TOPA };
            let claim = service_pmu(own);
            if let (true, Some(action)) = (claim != Claim::None, plan.on_pmi) {
                kernel().act(action);
            }
            claim
        })
    }
}

// SAFETY: as above.
unsafe impl NmiHandler for Trace {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        report::call(Bell::Lvt, || service_pmu(bit::TOPA))
    }
}

// SAFETY: as above.
unsafe impl NmiHandler for External {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        report::call(Bell::External(self.0), || claim_if(external::service(self.0)))
    }
}

// SAFETY: as above.
unsafe impl NmiHandler for Line61 {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        report::call(Bell::Port61, || {
            let serviced = port61::service();
            if serviced.again {
                kernel().nmi.owe_poll();
            }
            claim_if(serviced.claimed)
        })
    }
}

fn service_pmu(own: u8) -> Claim {
    let serviced = pmu::service(own);
    match (serviced.claimed, serviced.again) {
        (false, _) => Claim::None,
        (true, false) => Claim::Handled,
        (true, true) => Claim::More,
    }
}

fn claim_if(claimed: bool) -> Claim {
    if claimed { Claim::Handled } else { Claim::None }
}

pub(super) fn delivery(route: Route) -> PlatformDelivery<'static> {
    match route {
        Route::All => PlatformDelivery::All,
        Route::Bsp => PlatformDelivery::Bsp,
        Route::Some(cpus) => PlatformDelivery::Cpus(cpus),
    }
}

/// How the handler of that doorbell is registered.
pub(super) fn spec(bell: Bell, machine: &Machine) -> HandlerSpec<'static> {
    let hardware = &machine.hardware;
    match bell {
        Bell::Lvt => {
            let edges = match hardware.pmu {
                PmuKind::Free { late_us, max_late_edges } => {
                    EdgeModel::PerEvent { late_us: late_us as u32, max_late_edges }
                }
                PmuKind::Absent | PmuKind::Masking => EdgeModel::PerCondition,
            };
            HandlerSpec::new("pmu", Class::Local, Doorbell::Local(LVT_PERFORMANCE), edges)
        }
        Bell::External(index) => {
            let kind = hardware.externals[usize::from(index)];
            let edges = match kind.ring {
                Ring::LevelHeld => EdgeModel::PerCondition,
                Ring::PerEvent => EdgeModel::PerEvent {
                    late_us: kind.late_us as u32,
                    max_late_edges: kind.max_late_edges,
                },
            };
            let doorbell = Doorbell::Platform(index.into());
            HandlerSpec::new("external", Class::Platform, doorbell, edges)
                .delivery(delivery(machine.route_of(index)))
        }
        Bell::Port61 => {
            let doorbell = Doorbell::Platform(LINE_61);
            let route = hardware.port61.unwrap_or(Route::Bsp);
            HandlerSpec::new("port61", Class::Platform, doorbell, EdgeModel::PerCondition)
                .delivery(delivery(route))
        }
        Bell::Software | Bell::LateSoftware | Bell::Button => {
            unreachable!("nobody registers a handler for {bell}")
        }
    }
}
