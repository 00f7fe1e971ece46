// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine itself: where simulated CPUs are, and what they do at a choice point.
//!
//! Each thread of the host has one, which it makes when it first needs it and never frees, so that
//! it is `&'static` to the coroutines. All of it is in cells, since CPUs, events and the driver
//! take turns.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    thread_local,
};

use super::{
    cpu::{Cpu, Pace},
    fingerprint::Fingerprint,
    panics,
    sharing::Sharing,
    timeline::Recorder,
    touches::Touches,
    world::{Interruption, Property, Violation, World},
};

/// One thread's engine.
pub(super) struct Engine {
    world: Cell<Option<&'static dyn World>>,
    /// All CPUs ever made, and those of this world.
    all_cpus: Cell<&'static [Cpu]>,
    cpus: Cell<&'static [Cpu]>,
    /// The CPU whose code runs now.
    current: Cell<Option<&'static Cpu>>,
    /// The next choice point's number.
    pub(super) point: Cell<usize>,
    /// The first choice point that is not passed by going on.
    pub(super) stop_at: Cell<usize>,
    /// How often anything changed that a CPU may wait for.
    pub(super) changes: Cell<u64>,
    /// What the CPU that runs has done since its last choice point.
    pub(super) done: Cell<Touches>,
    /// Which CPUs use which words.
    pub(super) sharing: Sharing,
    /// Whether an event is in progress.
    pub(super) fires: Cell<bool>,
    /// Hash of what differs in memory from the world's beginning.
    pub(super) memory: Cell<u64>,
    /// How many stores a store buffer holds.
    pub(super) store_buffer: Cell<usize>,
    /// Whether to ask the world for violations: not where a former execution was the same.
    pub(super) checks: Cell<bool>,
    pub(super) violation: RefCell<Option<Violation>>,
    pub(super) recorder: Recorder,
    /// The CPU whose code has panicked.
    pub(super) unwinding: Cell<Option<&'static Cpu>>,
    busy: Cell<bool>,
}

thread_local! {
    static ENGINE: Cell<Option<&'static Engine>> = const { Cell::new(None) };
}

impl Engine {
    /// Takes this thread's engine.
    ///
    /// # Panics
    ///
    /// If it is in use.
    pub(super) fn take() -> &'static Self {
        let engine = ENGINE.get().unwrap_or_else(|| {
            panics::install_hook();
            let engine = &*Box::leak(Box::new(Self::new()));
            ENGINE.set(Some(engine));
            engine
        });
        assert!(!engine.busy.replace(true), "a search within a search");
        engine
    }

    /// Gives it back to the thread.
    pub(super) fn release(&self) {
        self.abandon();
        self.busy.set(false);
    }

    fn new() -> Self {
        Self {
            world: Cell::new(None),
            all_cpus: Cell::new(&[]),
            cpus: Cell::new(&[]),
            current: Cell::new(None),
            point: Cell::new(0),
            stop_at: Cell::new(0),
            changes: Cell::new(0),
            done: Cell::new(Touches::EVERYTHING),
            sharing: Sharing::default(),
            fires: Cell::new(false),
            memory: Cell::new(0),
            store_buffer: Cell::new(0),
            checks: Cell::new(true),
            violation: RefCell::new(None),
            recorder: Recorder::default(),
            unwinding: Cell::new(None),
            busy: Cell::new(false),
        }
    }

    /// An execution of `world` begins.
    pub(super) fn begin(&self, world: &'static dyn World, store_buffer: usize) {
        let cpus = world.cpus();
        if self.all_cpus.get().len() < cpus {
            self.all_cpus.set(Box::leak((0..cpus).map(Cpu::new).collect()));
        }
        self.cpus.set(self.all_cpus.get().get(..cpus).unwrap_or_default());
        self.world.set(Some(world));
        self.cpus().iter().for_each(Cpu::reset);
        self.current.set(None);
        self.point.set(0);
        self.stop_at.set(0);
        self.changes.set(0);
        self.done.set(Touches::EVERYTHING);
        self.fires.set(false);
        self.memory.set(0);
        self.store_buffer.set(store_buffer);
        self.checks.set(true);
        self.violation.replace(None);
        self.unwinding.set(None);
        self.recorder.begin(cpus);
    }

    /// The execution is over, wherever it is.
    pub(super) fn abandon(&self) {
        self.world.set(None);
        self.current.set(None);
    }

    #[inline]
    pub(super) fn world(&self) -> &'static dyn World {
        let Some(world) = self.world.get() else { unreachable!("an execution has a world") };
        world
    }

    /// The CPUs of this world.
    #[inline]
    pub(super) fn cpus(&self) -> &'static [Cpu] {
        self.cpus.get()
    }

    #[inline]
    pub(super) fn current(&self) -> Option<&'static Cpu> {
        self.current.get()
    }

    pub(super) fn set_current(&self, cpu: Option<&'static Cpu>) {
        self.current.set(cpu);
    }

    /// Something changed that another context may wait for.
    #[inline]
    pub(super) fn changed(&self) {
        self.changes.set(self.changes.get().wrapping_add(1));
    }

    /// The CPU that runs does this.
    #[inline]
    pub(super) fn does(&self, what: Touches) {
        self.done.set(self.done.get() | what);
    }

    /// Whether this CPU does anything if it is chosen.
    pub(super) fn can_go(&self, cpu: &Cpu) -> bool {
        let world = self.world();
        if !world.can_run(cpu.id) {
            return false;
        }
        let wants = match cpu.pace() {
            Pace::Fresh | Pace::Running => true,
            Pace::Waiting => !cpu.waits_in_vain(self.changes.get()),
            Pace::Finished => false,
        };
        wants || world.interruption(cpu.id).is_some()
    }

    /// A choice point of `cpu`, whose code runs: returns when it has been chosen to go on.
    #[inline]
    pub(super) fn choice_point(&self, cpu: &'static Cpu) {
        let world = self.world();
        loop {
            let can_run = world.can_run(cpu.id);
            if can_run {
                if let Some(what) = world.interruption(cpu.id) {
                    self.interrupt(cpu, what);
                    continue;
                }
                let point = self.point.get();
                if point < self.stop_at.get() {
                    self.point.set(point + 1);
                    self.done.set(Touches::NOTHING);
                    return;
                }
            }
            cpu.suspension.suspend();
            if world.interruption(cpu.id).is_none() {
                return;
            }
        }
    }

    /// Between two turns of a busy wait.
    pub(super) fn relax(&self, cpu: &'static Cpu) {
        cpu.end_turn();
        self.does(Touches::EVERYTHING);
        loop {
            match self.world().interruption(cpu.id) {
                Some(what) if self.world().can_run(cpu.id) => self.interrupt(cpu, what),
                _ => {
                    cpu.suspension.suspend();
                    if !cpu.waits_in_vain(self.changes.get()) {
                        break;
                    }
                }
            }
        }
        cpu.begin_turn(self.changes.get());
        self.does(Touches::EVERYTHING);
    }

    /// The body of a CPU's coroutine.
    pub(super) fn run_cpu(&'static self, cpu: &'static Cpu) {
        self.catch(cpu, || {
            cpu.set_pace(Pace::Running);
            self.does(Touches::EVERYTHING);
            let world = self.world();
            if let Some(what) = world.interruption(cpu.id) {
                self.interrupt(cpu, what);
            }
            world.run(cpu.id);
            cpu.set_pace(Pace::Finished);
            self.recorder.note(self.point.get(), cpu.id, || "has nothing more to do".into());
            loop {
                match world.interruption(cpu.id) {
                    Some(what) if world.can_run(cpu.id) => self.interrupt(cpu, what),
                    _ => cpu.suspension.suspend(),
                }
            }
        });
    }

    fn interrupt(&self, cpu: &'static Cpu, what: Interruption) {
        self.drain(cpu);
        self.does(Touches::EVERYTHING);
        self.recorder.note(self.point.get(), cpu.id, || format!("┌ {what}"));
        let interrupted = cpu.enter(what, self.changes.get());
        self.catch(cpu, || self.world().interrupt(cpu.id, what));
        self.drain(cpu);
        self.does(Touches::EVERYTHING);
        cpu.leave(&interrupted);
        self.recorder.note(self.point.get(), cpu.id, || format!("└ {what}"));
        if let Some(violation) = self.check() {
            self.violation.replace(Some(violation));
            self.stop_here(cpu);
        }
    }

    /// Asks the world whether something is violated.
    pub(super) fn check(&self) -> Option<Violation> {
        if self.checks.get() { self.world().violation() } else { None }
    }

    /// The whole machine's state in 64 bits, with this CPU running, or none.
    pub(super) fn state(&self, current: Option<usize>) -> u64 {
        let mut print = Fingerprint::new();
        print.fold(current.map_or(u64::MAX, |cpu| cpu as u64));
        print.fold(self.memory.get());
        for cpu in self.cpus() {
            cpu.fold(self.changes.get(), &mut print);
        }
        self.world().fold(&mut print);
        print.value()
    }

    /// Runs a context of a CPU. A panic is a violation, and the end.
    fn catch(&self, cpu: &'static Cpu, body: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            self.stop_here(cpu);
        }
    }

    /// This CPU does nothing more in this execution, which is over.
    pub(super) fn stop_here(&self, cpu: &'static Cpu) -> ! {
        loop {
            cpu.suspension.suspend();
        }
    }

    /// The code of `cpu` has panicked and unwinds from now on. Its destructors are no choice points
    /// any more; if one of them waits, the CPU stops there.
    pub(super) fn panicked(&self, cpu: &'static Cpu, text: String) {
        self.set_current(None);
        self.unwinding.set(Some(cpu));
        self.violation.replace(Some(Violation::new(Property::Panic, text)));
    }
}

/// The engine and the CPU on which this code runs, if it runs on one.
#[inline]
pub(super) fn here() -> Option<(&'static Engine, &'static Cpu)> {
    let engine = ENGINE.get()?;
    Some((engine, engine.current()?))
}

/// The engine of this thread, if an execution is in progress.
pub(super) fn in_progress() -> Option<&'static Engine> {
    ENGINE.get().filter(|engine| engine.world.get().is_some())
}
