// SPDX-License-Identifier: MIT OR Apache-2.0
//! FreeBSD on amd64: the list of handlers of commit 459dc427873c of 2024 ("x86: Refactor
//! kernel-mode NMI handling", review D46421), and its later versions.
//!
//! * The dispatcher first asks the stop handler, which is not in the list. If that handler claims
//!   the NMI, the dispatcher asks no other (`nmi_handle_intr`).
//! * Then it asks the handlers in the list, the last one registered first. `freebsd-landed` asks
//!   all of them. Since 194bb58b80c1 the dispatcher stops at the first claim:
//!   `freebsd-first-claim`.
//! * Only if no handler claims, the dispatcher reads port 0x61 (`isa_nmi`), then ACPI's error
//!   blocks (`apei_nmi`), and then the NMI is unknown (`nmi_call_kdb`).
//! * Handlers are registered and removed as in [`HandlerList`].
//!
//! In the review, the author reports that his test, `pmcstat` together with the PT driver, ends in
//! the debugger if the stop handler is in the list, too; no message says why, and that state of the
//! patch is not public. Three causes are possible, and each is enough. Each has a baseline of its
//! own:
//!
//! * `freebsd-stop-inverted`: the stop handler returns 0 for "mine", where the list takes 0 for
//!   "not mine".
//! * `freebsd-stop-double`: with that corrected, the stop handler and the PMCs' handler claim one
//!   NMI, and the second edge finds nothing.
//! * `freebsd-late-topa`: `hwpmc` unmasks the entry before PT's handler has acknowledged, so that a
//!   second ToPA PMI rings for a status that goes away with the first.
//!
//! The model leaves out the sender's wait, with a timeout, until the other CPU has stopped (two
//! stops at a time are one here, and the second sender is refused); `nmi_is_broadcast`, by which
//! one CPU reports for all; what the debugger does; that a nested NMI overwrites the outer one's
//! stack; and that `isa_nmi` and `apei_nmi` may panic, where the model acknowledges and goes on.
//! None of that comes before the violations.

use latchwork::simulation::{AtomicUsize, Ordering};

use super::{
    drivers,
    handler_list::HandlerList,
    pcint::{self, Drivers},
    statics::Statics,
};
use crate::{
    driver::{lapic, report},
    engine::Fingerprint,
    machine::{Bell, Bus, Doing, Ending, Reported, current},
    policy::{Action, Arrival, Ask, Plan, Policy},
};

/// A version of FreeBSD.
#[derive(Debug)]
pub(super) struct FreeBsd {
    pub(super) name: &'static str,
    /// Whether the dispatcher stops at the first claim.
    pub(super) first_claim_ends: bool,
    pub(super) stop_handler: StopHandler,
    pub(super) drivers: Drivers,
}

/// Where the stop handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopHandler {
    /// Before the list.
    Outside,
    /// In the list, returning what it returns outside.
    ListedAsItIs,
    /// In the list, returning what the list expects.
    Listed,
}

/// A function pointer; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Stop,
    Pmc,
    Pt,
    External(u8),
}

impl Function {
    const FIRST_EXTERNAL: usize = 4;

    fn pointer(self) -> usize {
        match self {
            Self::Stop => 1,
            Self::Pmc => 2,
            Self::Pt => 3,
            Self::External(index) => Self::FIRST_EXTERNAL + usize::from(index),
        }
    }

    fn of(pointer: usize) -> Option<Self> {
        match pointer {
            0 => None,
            1 => Some(Self::Stop),
            2 => Some(Self::Pmc),
            3 => Some(Self::Pt),
            _ => Some(Self::External((pointer - Self::FIRST_EXTERNAL) as u8)),
        }
    }
}

struct Kernel {
    plan: Plan,
    handlers: HandlerList,
    /// `ipi_stop_nmi_pending`: the CPUs that are to stop. Senders set a CPU's bit before they ring,
    /// and the CPU clears it.
    stop_pending: AtomicUsize,
}

thread_local! {
    static KERNEL: Statics<Kernel> = Statics::new();
}

fn kernel() -> &'static Kernel {
    KERNEL.with(Statics::get)
}

impl FreeBsd {
    /// `nmi_handle_intr`, as far as the list goes.
    fn walk(&self, cpu: usize) -> bool {
        let mut claimed = false;
        for element in kernel().handlers.elements() {
            if let Some(function) = Function::of(element.pointer()) {
                drivers::note(|| format!("reads the pointer to {function:?}"));
                claimed |= element.run(|| self.call(function, cpu));
                if claimed && self.first_claim_ends {
                    drivers::note(|| "asks nobody else".to_owned());
                    break;
                }
            }
        }
        claimed
    }

    fn call(&self, function: Function, cpu: usize) -> bool {
        match function {
            Function::Stop => {
                let is_mine = stops(cpu);
                drivers::note(|| format!("Stop: {}", if is_mine { "mine" } else { "not mine" }));
                is_mine == (self.stop_handler == StopHandler::Listed)
            }
            Function::Pmc => report::call(Bell::Lvt, || {
                let claimed = pcint::pmc_handler(self.drivers);
                if let (true, Some(action)) = (claimed, kernel().plan.on_pmi) {
                    self.act(action);
                }
                claimed
            }),
            Function::Pt => report::call(Bell::Lvt, || pcint::pt_handler(self.drivers)),
            Function::External(index) => drivers::ask(Bell::External(index)) != 0,
        }
    }

    /// The functions behind that doorbell that are in the list, in the order of their registration.
    fn listed(&self, bell: Bell) -> Vec<Function> {
        match bell {
            Bell::Lvt => match self.drivers {
                Drivers::Careful => vec![Function::Pmc],
                Drivers::Landed => vec![Function::Pmc, Function::Pt],
                Drivers::PmcUnmasksFirst => vec![Function::Pt, Function::Pmc],
            },
            Bell::External(index) if !is_error_block(index) => vec![Function::External(index)],
            _ => Vec::new(),
        }
    }
}

fn is_error_block(index: u8) -> bool {
    current().hardware.externals[usize::from(index)].bus == Bus::Memory
}

/// `ipi_nmi_handler`: a plain look, a locked clear, and the CPU stops here. Says whether it was to
/// stop.
fn stops(cpu: usize) -> bool {
    let pending = &kernel().stop_pending;
    if pending.load(Ordering::Relaxed) & 1 << cpu == 0 {
        return false;
    }
    pending.fetch_and(!(1 << cpu), Ordering::AcqRel);
    report::served(1, 1);
    let machine = current();
    let until_us = machine.with(|state| state.now_us) + machine.timing.park_us;
    machine.remain(cpu, Doing::Parked { until_us });
    true
}

/// `isa_nmi` and `apei_nmi`.
fn platform_handlers() -> bool {
    let attended = kernel().plan.attended;
    let mut claimed = attended.contains(&Bell::Port61) && drivers::ask(Bell::Port61) != 0;
    for bell in attended {
        match bell {
            Bell::External(index) if is_error_block(*index) => claimed |= drivers::ask(*bell) != 0,
            _ => {}
        }
    }
    claimed
}

/// `ipi_selected` with `IPI_STOP_HARD`.
fn send_stop(to: usize) {
    report::send_begins(to);
    let before = kernel().stop_pending.fetch_or(1 << to, Ordering::AcqRel);
    let is_new = before & 1 << to == 0;
    if is_new {
        lapic::send_nmi(to);
    }
    report::send_ends(is_new);
}

impl Policy for FreeBsd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, action: Action) -> bool {
        match action {
            Action::Send { ask, .. } => ask == Ask::Stop,
            Action::Register(bell) | Action::Remove(bell) => {
                matches!(bell, Bell::Lvt | Bell::External(_))
            }
            _ => drivers::can_act_without_the_nmi_code(action),
        }
    }

    fn set_up(&self, plan: &Plan) {
        KERNEL.with(|statics| {
            statics.boot(|| Kernel {
                plan: *plan,
                handlers: HandlerList::new(),
                stop_pending: AtomicUsize::new(0),
            });
        });
        if self.stop_handler != StopHandler::Outside {
            kernel().handlers.register(Function::Stop.pointer());
        }
        for bell in plan.attended {
            self.act(Action::Register(*bell));
        }
    }

    fn nmi(&self, arrival: &Arrival) -> Ending {
        let cpu = arrival.cpu;
        let is_stop = self.stop_handler == StopHandler::Outside && stops(cpu);
        if is_stop || self.walk(cpu) || platform_handlers() {
            return Ending::Claimed;
        }
        report::report(arrival.serial, Reported::Unknown);
        Ending::Unknown
    }

    fn tick(&self) {}

    fn work_interrupt(&self) {}

    fn idle_entry(&self) {}

    fn act(&self, action: Action) {
        match action {
            Action::Send { to, .. } => send_stop(to),
            Action::Register(bell) => {
                for function in self.listed(bell) {
                    kernel().handlers.register(function.pointer());
                }
                report::attended(bell);
            }
            Action::Remove(bell) => {
                for function in self.listed(bell) {
                    kernel().handlers.remove(function.pointer());
                }
                report::removed(bell);
            }
            _ => {
                drivers::act_without_the_nmi_code(action);
            }
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        kernel().handlers.fold(fingerprint);
    }
}
