// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux on x86-64, as of 6.12 (`arch/x86/kernel/nmi.c`: `exc_nmi`, `default_do_nmi`,
//! `nmi_handle`), and the series of 2014 on top of it.
//!
//! * Every local handler is called, and what they return is added up. Only if that is nothing, port
//!   0x61 is read, under a raw spinlock: SERR, or else IOCHK.
//! * If local handlers returned more than one, the next unclaimed NMI is swallowed, provided that
//!   it comes back to back: at the same instruction as the one before.
//! * An NMI that nests in the handler of another is remembered, and the outer one goes round again.
//! * `linux-amd-100ms`: on AMD's CPUs, for 100 ms after a counter was handled, perf's handler
//!   returns "handled" for every NMI that it knows nothing about (`amd_pmu_adjust_nmi_window`).
//! * `linux-2014-posted`, `linux-2014-intended`: see [`DelayedWork`].
//!
//! What a baseline says with [`Ending`] is what it does and not what it calls it: an NMI that only
//! AMD's window claims is absorbed.
//!
//! Handlers of external devices are local ones, as GHES's is, whose error blocks are behind a gate
//! for one CPU at a time. In the series of 2014 they are external, as is port 0x61. What software
//! sends are [`Backtraces`].
//!
//! Left out: DR7, CR2 and the stack's layout, which the machine has none of; NMI_UNKNOWN's
//! handlers, which would claim after all that matters here; the two seconds for which an IOCHK is
//! kept disabled with the lock held; RCU and the removal of handlers, which scenarios therefore do
//! not ask of it. PMIs are handled with the entry unmasked before the counters go on, as the kernel
//! does on some CPUs: on others it unmasks later, and whether an overflow is lost there no manual
//! says. None of this makes an edge more or less. The machine traces on while PT's PMI is handled,
//! where Linux stops it for most of that, so that what scenarios with PT's buffer show is not held
//! against Linux.

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

/// Which Linux.
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
    /// `nmi_reason_lock`: a raw spinlock of all CPUs, taken with acquire and released.
    reason_lock: AtomicBool,
    /// `ghes_in_nmi`: likewise of all CPUs, tried once.
    ghes_gate: AtomicBool,
    backtraces: Backtraces,
    delayed_work: DelayedWork,
}

/// All of it is plain: only the CPU itself uses it.
struct PerCpu {
    nmi_state: AtomicUsize,
    /// The number of the NMI that nested, for the report.
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
    /// Of that, what only AMD's window claims.
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
            drivers::tell(|| "leaves it to the NMI in which it nests".to_owned());
            return Ending::Deferred;
        }
        this.nmi_state.store(EXECUTING, Ordering::Relaxed);
        let ending = self.handle(arrival.cpu, arrival.serial, arrival.back_to_back);
        // One instruction, which an NMI cannot divide.
        while this.nmi_state.fetch_sub(1, Ordering::Relaxed) == LATCHED {
            let serial = this.nested_serial.load(Ordering::Relaxed);
            // It is told by the registers that the outer one has saved, so it is back to back.
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
                    drivers::tell(|| "asks nobody external".to_owned());
                }
                None => drivers::tell(|| "does not read port 0x61".to_owned()),
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
            drivers::tell(|| "swallows it, back to back".to_owned());
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
            drivers::tell(|| "claims it all the same, soon after a PMI".to_owned());
        }
    }

    /// What is asked under the lock.
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

/// Port 0x61: SERR is cleared and stays disabled; or else IOCHK is cleared and enabled again.
fn reason() -> bool {
    let reason = port61::read();
    drivers::tell(|| format!("reads port 0x61: {reason:#x}"));
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

/// A driver's handler. GHES's, of an error block, lets one CPU in at a time, and the others go on.
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
            // The tick does not stop as long as lazy work waits for it, which is not told here.
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
