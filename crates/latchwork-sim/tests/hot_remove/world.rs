// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two CPUs and the real registry: one takes NMIs, the other removes their handler meanwhile.

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
};

use latchwork::{
    AfterLeave, Claim, Class, Doorbell, EdgeModel, Fatal, HandlerSpec, InterruptState, Interrupted,
    Mode, Nmi, NmiContext, NmiHandler, PerCpu, Platform, Registration, RingError, UnknownNmi,
    simulation::{AtomicUsize, Ordering},
};
use latchwork_sim::engine::{
    Event, Fingerprint, Interruption, Place, Property, Violation, World, at_rest, note, relax,
    this_cpu,
};

/// How a world of this kind is made.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How many edges may land on each CPU.
    pub(crate) edges: [usize; CPUS],
    pub(crate) removal: Removal,
}

/// What CPU 1 does about the handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    Never,
    /// Removes it and waits until it is over.
    Waits,
    /// Goes on without waiting: a mistake.
    DoesNotWait,
}

pub(crate) const CPUS: usize = 2;

struct Kernel {
    nmi: Nmi<Services>,
    areas: [PerCpu; CPUS],
    driver: Driver,
}

struct Services;

// SAFETY: a simulated CPU is where this code runs, and nothing here locks, allocates or unwinds.
unsafe impl Platform for Services {
    fn current_cpu(&self) -> Option<usize> {
        Some(this_cpu().unwrap_or(0))
    }
    fn now_ticks(&self) -> u64 {
        0
    }
    fn ticks_per_ms(&self) -> u64 {
        1
    }
    fn ring(&self, _: usize) -> Result<(), RingError> {
        unreachable!("nobody sends")
    }
    fn disable_interrupts(&self) -> InterruptState {
        InterruptState(0)
    }
    unsafe fn restore_interrupts(&self, _: InterruptState) {}
    fn interrupt_for_work(&self, _: usize) {}
    fn interrupts_are_on(&self) -> bool {
        true
    }
    fn restart_tick(&self) {}
    fn relax(&self) {
        relax();
    }
    fn report_unknown(&self, _: &UnknownNmi) {}
    fn after_leave(&self, _: &NmiContext<'_>, _: AfterLeave) {}
    fn fatal(&self, error: Fatal) -> ! {
        panic!("{error}")
    }
}

/// A handler that knows whether it may still run.
struct Driver {
    gone: AtomicUsize,
    ran_when_gone: AtomicUsize,
}

// SAFETY: it only uses atomics.
unsafe impl NmiHandler for Driver {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        for _ in 0..2 {
            if self.gone.load(Ordering::Relaxed) != 0 {
                self.ran_when_gone.store(1, Ordering::SeqCst);
                note(ctx.cpu(), || "the handler runs after its removal".into());
            }
        }
        Claim::Handled
    }
}

struct HotRemove {
    plan: Plan,
    kernel: &'static Kernel,
    registration: RefCell<ManuallyDrop<Option<Registration>>>,
    edges_left: Cell<[usize; CPUS]>,
    latched: Cell<[bool; CPUS]>,
    in_nmi: Cell<[bool; CPUS]>,
}

impl HotRemove {
    fn remove(&self) {
        let Some(registration) = self.registration.take_inner() else { return };
        if self.plan.removal == Removal::DoesNotWait {
            let _ = registration.try_remove();
        } else if let Err(error) = registration.remove() {
            panic!("{error:?}");
        }
        self.kernel.driver.gone.store(1, Ordering::SeqCst);
        note(1, || "the removal has returned".into());
        at_rest();
    }
}

trait TakeInner {
    fn take_inner(&self) -> Option<Registration>;
}

impl TakeInner for RefCell<ManuallyDrop<Option<Registration>>> {
    fn take_inner(&self) -> Option<Registration> {
        self.borrow_mut().take()
    }
}

fn with<T>(cell: &Cell<[T; CPUS]>, cpu: usize, value: T)
where
    T: Copy,
{
    let mut values = cell.get();
    values[cpu] = value;
    cell.set(values);
}

impl World for HotRemove {
    fn cpus(&self) -> usize {
        CPUS
    }
    fn run(&self, cpu: usize) {
        if cpu == 1 && self.plan.removal != Removal::Never {
            self.remove();
        }
    }
    fn events(&self, out: &mut Vec<Event>) {
        let left = self.edges_left.get();
        out.extend((0..CPUS).filter(|cpu| left[*cpu] > 0).map(|cpu| Event(cpu as u32)));
    }
    fn fire(&self, event: Event) {
        let cpu = event.0 as usize;
        with(&self.edges_left, cpu, self.edges_left.get()[cpu] - 1);
        with(&self.latched, cpu, true);
    }
    fn interruption(&self, cpu: usize) -> Option<Interruption> {
        let due = self.latched.get()[cpu] && !self.in_nmi.get()[cpu];
        due.then_some(Interruption::Nmi)
    }
    fn interrupt(&self, cpu: usize, _: Interruption) {
        with(&self.latched, cpu, false);
        with(&self.in_nmi, cpu, true);
        let interrupted = Interrupted {
            ip: 0,
            sp: 0,
            fp: 0,
            mode: Mode::Kernel,
            frame: std::ptr::null(),
            sources: None,
        };
        // SAFETY: this CPU is in an NMI, which it leaves when this returns.
        unsafe { self.kernel.nmi.dispatch(&interrupted) };
        with(&self.in_nmi, cpu, false);
    }
    fn can_run(&self, _: usize) -> bool {
        true
    }
    fn violation(&self) -> Option<Violation> {
        None
    }
    fn finish(&self) -> Option<Violation> {
        let ran = self.kernel.driver.ran_when_gone.load(Ordering::Relaxed) != 0;
        ran.then(|| Violation::new(Property::Q, "the handler ran after its removal"))
    }
    fn fold(&self, fingerprint: &mut Fingerprint) {
        for cpu in 0..CPUS {
            fingerprint.fold(self.edges_left.get()[cpu] as u64);
            let flags = [self.latched.get()[cpu], self.in_nmi.get()[cpu]];
            fingerprint.fold(u64::from(flags[0]) | u64::from(flags[1]) << 1);
        }
    }
    fn describe(&self, event: Event) -> String {
        format!("an edge for CPU {}", event.0)
    }
}

/// A factory of worlds of this plan.
pub(crate) fn worlds(plan: Plan) -> impl FnMut() -> &'static (dyn World + 'static) {
    let kernels = Place::new();
    let worlds = Place::new();
    move || {
        let build = || Kernel {
            nmi: Nmi::new(Services),
            areas: [const { PerCpu::new() }; CPUS],
            driver: Driver { gone: AtomicUsize::new(0), ran_when_gone: AtomicUsize::new(0) },
        };
        // SAFETY: only the former world, which is over, referred to the former kernel.
        let kernel: &'static Kernel = unsafe { kernels.rebuild(build) };
        kernel.nmi.init(&kernel.areas).expect("the first initialisation");
        let spec =
            HandlerSpec::new("driver", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
        let registration = kernel.nmi.register(&spec, &kernel.driver).expect("room");
        let build = || HotRemove {
            plan,
            kernel,
            registration: RefCell::new(ManuallyDrop::new(Some(registration))),
            edges_left: Cell::new(plan.edges),
            latched: Cell::default(),
            in_nmi: Cell::default(),
        };
        // SAFETY: as above.
        unsafe { worlds.rebuild(build) }
    }
}
