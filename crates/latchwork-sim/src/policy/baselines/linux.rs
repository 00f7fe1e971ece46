// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux on x86-64, as of 6.12 (`arch/x86/kernel/nmi.c`: `exc_nmi`, `default_do_nmi`,
//! `nmi_handle`), and the series of 2014 on top of it.
//!
//! * The kernel calls every local handler, and adds up what they return. Only if the sum is 0, it
//!   reads port 0x61, under a raw spinlock: SERR, or else IOCHK.
//! * If local handlers returned more than one, the kernel swallows the next unclaimed NMI, provided
//!   that it comes back to back: at the same instruction as the one before.
//! * The kernel remembers an NMI that nests in the handler of another, and the outer one then asks
//!   all handlers again.
//! * `linux-amd-100ms`: on AMD's CPUs, for 100 ms after a counter was handled, perf's handler
//!   returns "handled" for every NMI that it knows nothing about (`amd_pmu_adjust_nmi_window`).
//! * `linux-2014-posted`, `linux-2014-intended`: see [`DelayedWork`].
//!
//! An [`Ending`] says what a baseline does and not what it calls that: an NMI that only AMD's
//! window claims is absorbed.
//!
//! Handlers of external devices are local ones, as GHES's is, which lets one CPU at a time read its
//! error blocks. In the series of 2014 they are external, as is port 0x61. Software sends
//! [`Backtraces`].
//!
//! The model leaves out DR7, CR2 and the stack's layout, which the machine does not have;
//! NMI_UNKNOWN's handlers, which would claim after all that matters here; the two seconds for which
//! the kernel keeps an IOCHK disabled with the lock held; and RCU and the removal of handlers,
//! which scenarios therefore do not ask of it. The PMI handler unmasks the entry before the
//! counters go on, as the kernel does on some CPUs. On others the kernel unmasks later, and no
//! manual says whether an overflow is lost there. None of this adds or removes an edge. The machine
//! keeps tracing while the handler of PT's PMI runs, where Linux stops it for most of that time, so
//! scenarios with PT's buffer show nothing against Linux.

use latchwork::simulation::{AtomicBool, AtomicUsize, Ordering};

use super::{backtrace::Backtraces, delayed_work::DelayedWork, drivers, statics::Statics};
use crate::{
    driver::{clock, port61, report},
    engine::{self, Fingerprint},
    machine::{Bell, Bus, Ending, Reported, current, port61::bit},
    policy::{Action, Arrival, Ask, Plan, Policy},
};

/// The most CPUs that it runs on: those on which costs are measured.
const CPUS: usize = 256;
/// For how long AMD's perf handler claims everything.
const WINDOW_MS: u64 = 100;

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linux {
    /// As it is.
    Today,
    /// On AMD's CPUs.
    Amd,
    /// With the series of 2014 as it was posted.
    Posted,
    /// With that series as its comment describes it.
    Intended,
}

struct Kernel {
    plan: Plan,
    cpus: [PerCpu; CPUS],
    /// `nmi_reason_lock`: a raw spinlock of all CPUs: acquire to take it, release to free it.
    reason_lock: AtomicBool,
    /// `ghes_in_nmi`: also shared by all CPUs, which try it once.
    ghes_gate: AtomicBool,
    backtraces: Backtraces,
    delayed_work: DelayedWork,
}

/// The state of one CPU. All accesses are plain, since only that CPU makes them.
struct PerCpu {
    nmi_state: AtomicUsize,
    /// The number of the NMI that nested, for its report.
    nested_serial: AtomicUsize,
    swallow_nmi: AtomicBool,
    /// `perf_nmi_tstamp`.
    window_ends_ticks: AtomicUsize,
}

const NOT_RUNNING: usize = 0;
const EXECUTING: usize = 1;
const LATCHED: usize = 2;

impl PerCpu {
    const fn new() -> Self {
        Self {
            nmi_state: AtomicUsize::new(NOT_RUNNING),
            nested_serial: AtomicUsize::new(0),
            swallow_nmi: AtomicBool::new(false),
            window_ends_ticks: AtomicUsize::new(0),
        }
    }
}

/// What the local handlers returned.
struct Handled {
    count: usize,
    /// The part of that which only AMD's window claims.
    by_window: usize,
}

thread_local! {
    static KERNEL: Statics<Kernel> = Statics::new();
}

fn kernel() -> &'static Kernel {
    KERNEL.with(Statics::get)
}

impl Linux {
    fn has_delayed_work(self) -> bool {
        matches!(self, Self::Posted | Self::Intended)
    }

    /// `exc_nmi`.
    fn enter(self, arrival: &Arrival) -> Ending {
        let this = &kernel().cpus[arrival.cpu];
        if this.nmi_state.load(Ordering::Relaxed) != NOT_RUNNING {
            this.nested_serial.store(arrival.serial, Ordering::Relaxed);
            this.nmi_state.store(LATCHED, Ordering::Relaxed);
            drivers::note(|| "leaves it to the NMI in which it nests".to_owned());
            return Ending::Deferred;
        }
        this.nmi_state.store(EXECUTING, Ordering::Relaxed);
        let ending = self.handle(arrival.cpu, arrival.serial, arrival.back_to_back);
        // One instruction, which an NMI cannot divide.
        while this.nmi_state.fetch_sub(1, Ordering::Relaxed) == LATCHED {
            let serial = this.nested_serial.load(Ordering::Relaxed);
            // The kernel compares the registers that the outer one has saved, so this one is back
            // to back.
            self.handle(arrival.cpu, serial, true);
        }
        ending
    }

    /// `default_do_nmi`.
    fn handle(self, cpu: usize, serial: usize, back_to_back: bool) -> Ending {
        let kernel = kernel();
        let this = &kernel.cpus[cpu];
        if !back_to_back {
            this.swallow_nmi.store(false, Ordering::Relaxed);
        }
        let delayed_work = self.has_delayed_work().then_some(&kernel.delayed_work);
        let local = self.local_handlers(cpu);
        if local.count != 0 {
            if local.count > 1 {
                this.swallow_nmi.store(true, Ordering::Relaxed);
            }
            match delayed_work {
                Some(work) => {
                    work.queue(cpu, self == Self::Intended);
                    drivers::note(|| "asks nobody external".to_owned());
                }
                None => drivers::note(|| "does not read port 0x61".to_owned()),
            }
            let truly = local.count > local.by_window;
            return if truly { Ending::Claimed } else { Ending::Absorbed };
        }
        if self.external_handlers() {
            if let Some(work) = delayed_work {
                work.queue(cpu, self == Self::Intended);
            }
            return Ending::Claimed;
        }
        if let Some(ending) = delayed_work.and_then(|work| work.swallow(cpu)) {
            return ending;
        }
        if back_to_back && this.swallow_nmi.load(Ordering::Relaxed) {
            drivers::note(|| "swallows it, back to back".to_owned());
            return Ending::Absorbed;
        }
        report::report(serial, Reported::Unknown);
        Ending::Unknown
    }

    /// `nmi_handle(NMI_LOCAL)`.
    fn local_handlers(self, cpu: usize) -> Handled {
        let kernel = kernel();
        let mut handled = Handled { count: kernel.backtraces.handle(cpu), by_window: 0 };
        for bell in kernel.plan.attended {
            match bell {
                Bell::Lvt => self.perf_handler(cpu, &mut handled),
                Bell::External(index) if !self.has_delayed_work() => {
                    handled.count += external_handler(*index);
                }
                _ => {}
            }
        }
        handled
    }

    /// `perf_event_nmi_handler`.
    fn perf_handler(self, cpu: usize, handled: &mut Handled) {
        let kernel = kernel();
        let overflows = drivers::ask(Bell::Lvt);
        handled.count += overflows;
        if let (true, Some(action)) = (overflows != 0, kernel.plan.on_pmi) {
            self.act(action);
        }
        if self != Self::Amd {
            return;
        }
        let ends_ticks = &kernel.cpus[cpu].window_ends_ticks;
        let now_ticks = clock::now_ticks();
        if overflows != 0 {
            let end_ticks = now_ticks + WINDOW_MS * clock::TICKS_PER_MS;
            ends_ticks.store(end_ticks as usize, Ordering::Relaxed);
        } else if now_ticks <= ends_ticks.load(Ordering::Relaxed) as u64 {
            handled.count += 1;
            handled.by_window += 1;
            drivers::note(|| "claims it all the same, soon after a PMI".to_owned());
        }
    }

    /// Asks the external handlers under the lock.
    fn external_handlers(self) -> bool {
        let lock = &kernel().reason_lock;
        while lock.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            engine::relax();
        }
        let mut handled = reason();
        if self.has_delayed_work() {
            for bell in kernel().plan.attended {
                if let Bell::External(index) = bell {
                    handled |= external_handler(*index) != 0;
                }
            }
        }
        lock.store(false, Ordering::Release);
        handled
    }
}

/// Handles port 0x61: clears SERR and leaves it disabled; or else clears IOCHK and enables it
/// again.
fn reason() -> bool {
    let reason = port61::read();
    drivers::note(|| format!("reads port 0x61: {reason:#x}"));
    if reason & bit::SERR != 0 {
        port61::write(bit::SERR_OFF);
    } else if reason & bit::IOCHK != 0 {
        port61::write(bit::IOCHK_OFF);
        port61::write(0);
    } else {
        return false;
    }
    true
}

/// A driver's handler. That of GHES, for an error block, lets one CPU in at a time, and the others
/// go on.
fn external_handler(index: u8) -> usize {
    if current().hardware.externals[usize::from(index)].bus != Bus::Memory {
        return drivers::ask(Bell::External(index));
    }
    let gate = &kernel().ghes_gate;
    if gate.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return 0;
    }
    let handled = drivers::ask(Bell::External(index));
    gate.store(false, Ordering::Release);
    handled
}

impl Policy for Linux {
    fn name(&self) -> &'static str {
        match self {
            Self::Today => "linux",
            Self::Amd => "linux-amd-100ms",
            Self::Posted => "linux-2014-posted",
            Self::Intended => "linux-2014-intended",
        }
    }

    fn can(&self, action: Action) -> bool {
        match action {
            Action::Send { ask, .. } => ask == Ask::Backtrace,
            // The tick does not stop as long as lazy work waits for it, which the model leaves out.
            Action::StopTick | Action::StartTick => !self.has_delayed_work(),
            _ => drivers::can_act_without_the_nmi_code(action),
        }
    }

    fn set_up(&self, plan: &Plan) {
        KERNEL.with(|statics| {
            statics.boot(|| Kernel {
                plan: *plan,
                cpus: [const { PerCpu::new() }; CPUS],
                reason_lock: AtomicBool::new(false),
                ghes_gate: AtomicBool::new(false),
                backtraces: Backtraces::new(),
                delayed_work: DelayedWork::new(),
            });
        });
        plan.attended.iter().copied().for_each(report::attended);
    }

    fn nmi(&self, arrival: &Arrival) -> Ending {
        let delayed_work = &kernel().delayed_work;
        delayed_work.nmi_begins(arrival.cpu);
        let ending = self.enter(arrival);
        delayed_work.nmi_ends(arrival.cpu);
        ending
    }

    fn tick(&self) {
        if self.has_delayed_work() {
            kernel().delayed_work.tick(current().this_cpu());
        }
    }

    fn work_interrupt(&self) {}

    fn idle_entry(&self) {}

    fn act(&self, action: Action) {
        match action {
            Action::Send { to, .. } => kernel().backtraces.send(to),
            _ => {
                drivers::act_without_the_nmi_code(action);
            }
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        kernel().delayed_work.fold(fingerprint);
    }
}
