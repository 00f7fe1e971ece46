// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs one execution after another: resumes CPUs, and takes decisions where they stop.
//!
//! # Options
//!
//! At a choice point of the CPU that runs, in this order: go on, if it can; switch to another CPU
//! that can go on, beginning with the next one; have the oldest store of a CPU drained; each event
//! that is enabled. The first one is the default, option 0. A choice point has the number of
//! decisions taken before it.
//!
//! A CPU that is chosen does something: it takes the interruption that is due, or makes the access
//! before which it stopped. So no search meets an order twice by switching to and fro. After a
//! draining or an event there is another choice point, unless the CPU that runs must now take an
//! interruption.

use super::{
    coroutine::Thread,
    cpu::{Cpu, Pace},
    runtime::Engine,
    search::{Bounds, Build},
    timeline::Detail,
    touches::Touches,
    trace::{Deviation, Trace},
    world::{Event, Property, Violation},
};

/// What the driver can do at a choice point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The CPU that runs goes on.
    Go,
    /// This CPU goes on instead.
    Switch(usize),
    /// The oldest store of this CPU goes to memory.
    Drain(usize),
    /// This happens.
    Fire(Event),
}

/// A choice point, for choosers.
pub(super) struct Menu<'a> {
    pub(super) engine: &'a Engine,
    /// The CPU that runs.
    pub(super) current: usize,
    pub(super) point: usize,
    /// The CPU has not begun, waits, or cannot go on: a switch is no preemption.
    pub(super) is_free: bool,
    /// Preemptions until now.
    pub(super) preemptions: u8,
    pub(super) choices: &'a [Choice],
}

impl Menu<'_> {
    /// Whether this option is a preemption.
    pub(super) fn preempts(&self, option: usize) -> bool {
        !self.is_free && matches!(self.choices.get(option), Some(Choice::Switch(_)))
    }

    /// Whether this option's order with what the CPU that runs has done since its last choice point
    /// can matter. If not, it could be taken there, or earlier.
    pub(super) fn matters(&self, option: usize) -> bool {
        let done = self.engine.done.get();
        let Some(choice) = self.choices.get(option) else { return false };
        if self.is_free || done == Touches::EVERYTHING {
            return true;
        }
        let world = self.engine.world();
        done.meets(match *choice {
            Choice::Go => return true,
            // No other CPU sees a word that it alone uses, and nothing comes between that access
            // and its next step.
            Choice::Switch(_) if world.is_closed(self.current) => {
                Touches::SHARED | Touches::HARDWARE | Touches::CLOCK
            }
            Choice::Switch(_) => Touches::EVERYTHING,
            Choice::Drain(_) => Touches::SHARED | Touches::HARDWARE,
            Choice::Fire(event) => world.touches(event, self.current),
        })
    }
}

/// What a chooser says.
pub(super) enum Answer {
    Take(usize),
    /// This execution shows nothing new.
    Cut,
}

/// Takes the decisions of a search.
pub(super) trait Chooser {
    /// The first point at which it wants to choose. Before that, the driver takes the default. The
    /// driver asks at the beginning and after each choice.
    fn next_stop(&self) -> usize;

    /// Whether it wants to choose also, wherever that is, when the CPU that runs cannot go on.
    fn wants_free_points(&self) -> bool {
        false
    }

    /// Up to this point, a former execution was the same, and its world was asked for violations.
    fn known_until(&self) -> usize {
        0
    }

    /// Chooses. There is at least one option.
    fn choose(&mut self, menu: &Menu<'_>) -> Answer;
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody can run, and nothing can happen.
    Over,
    Violated(Violation),
    /// The chooser cut it.
    Cut,
    /// It has too many choice points.
    TooLong,
}

/// An execution that is over.
pub(super) struct Run {
    pub(super) end: End,
    /// The state in which it ended.
    pub(super) end_state: u64,
    /// Choice points passed.
    pub(super) points: usize,
    pub(super) trace: Trace,
}

/// Runs executions on this thread's engine.
pub(super) struct Driver {
    pub(super) engine: &'static Engine,
    threads: Vec<Thread>,
    choices: Vec<Choice>,
    events: Vec<Event>,
}

/// What changes hands during one execution.
struct Course<'a> {
    chooser: &'a mut dyn Chooser,
    current: usize,
    max_points: usize,
    preemptions: u8,
    trace: Trace,
}

impl Driver {
    pub(super) fn new(detail: Detail) -> Self {
        let engine = Engine::take();
        engine.recorder.set_detail(detail);
        Self { engine, threads: Vec::new(), choices: Vec::new(), events: Vec::new() }
    }

    /// Builds a world and runs it to an end.
    pub(super) fn run(
        &mut self,
        bounds: &Bounds,
        build: &mut Build<'_>,
        chooser: &mut dyn Chooser,
    ) -> Run {
        self.start(bounds, build);
        let mut course = Course {
            chooser,
            current: 0,
            max_points: bounds.points,
            preemptions: 0,
            trace: Trace::default(),
        };
        let end = loop {
            match self.decide(&mut course) {
                Ok(cpu) => {
                    course.current = cpu;
                    self.resume(cpu);
                }
                Err(end) => break end,
            }
        };
        latchwork::simulation::install(None);
        let points = self.engine.point.get();
        if let End::Violated(violation) = &end {
            let machine = self.engine.cpus().len();
            self.engine.recorder.note(points, machine, || violation.to_string());
        }
        let end_state = self.engine.state(None);
        self.engine.abandon();
        Run { end, end_state, points, trace: course.trace }
    }

    fn start(&mut self, bounds: &Bounds, build: &mut Build<'_>) {
        let engine = self.engine;
        engine.begin(build(), bounds.store_buffer);
        let cpus = engine.cpus();
        while self.threads.len() < cpus.len() {
            self.threads.push(Thread::new());
        }
        for (thread, cpu) in self.threads.iter_mut().zip(cpus) {
            thread.start(&cpu.suspension, move || engine.run_cpu(cpu));
        }
        latchwork::simulation::install(Some(engine));
    }

    fn resume(&mut self, cpu: usize) {
        self.engine.set_current(self.engine.cpus().get(cpu));
        if let Some(thread) = self.threads.get_mut(cpu) {
            thread.resume();
        }
        self.engine.set_current(None);
    }

    /// Takes decisions until a CPU runs again, which is returned.
    fn decide(&mut self, course: &mut Course<'_>) -> Result<usize, End> {
        let engine = self.engine;
        if let Some(violation) = engine.violation.take() {
            return Err(End::Violated(violation));
        }
        let cpu = &engine.cpus()[course.current];
        loop {
            let point = engine.point.get();
            if point >= course.max_points {
                return Err(End::TooLong);
            }
            let can_go = engine.can_go(cpu);
            let pace = cpu.pace();
            let is_free = !can_go || matches!(pace, Pace::Fresh | Pace::Waiting);
            let wanted = point >= course.chooser.next_stop()
                || is_free && course.chooser.wants_free_points();
            let choice = if wanted {
                self.ask(course, can_go, is_free)?
            } else {
                self.default_choice(course.current, can_go)
            };
            engine.point.set(point + 1);
            engine.stop_at.set(course.chooser.next_stop().min(course.max_points));
            engine.checks.set(point + 1 > course.chooser.known_until());
            match choice {
                None => return Err(self.finish()),
                Some(Choice::Go) => {
                    engine.done.set(Touches::NOTHING);
                    return Ok(course.current);
                }
                Some(Choice::Switch(other)) => {
                    engine.done.set(Touches::EVERYTHING);
                    // Random search knows no bound.
                    course.preemptions = course.preemptions.saturating_add(u8::from(!is_free));
                    return Ok(other);
                }
                Some(Choice::Drain(other)) => engine.drain_one(&engine.cpus()[other]),
                Some(Choice::Fire(event)) => self.fire(event)?,
            }
            engine.done.set(Touches::EVERYTHING);
            let world = engine.world();
            if world.can_run(cpu.id) && world.interruption(cpu.id).is_some() {
                return Ok(course.current);
            }
        }
    }

    fn ask(
        &mut self,
        course: &mut Course<'_>,
        can_go: bool,
        is_free: bool,
    ) -> Result<Option<Choice>, End> {
        self.list(course.current, can_go);
        if self.choices.is_empty() {
            return Ok(None);
        }
        let menu = Menu {
            engine: self.engine,
            current: course.current,
            point: self.engine.point.get(),
            is_free,
            preemptions: course.preemptions,
            choices: &self.choices,
        };
        match course.chooser.choose(&menu) {
            Answer::Cut => Err(End::Cut),
            Answer::Take(option) => {
                if option != 0 {
                    course.trace.deviations.push(Deviation { point: menu.point, option });
                }
                Ok(self.choices.get(option).copied())
            }
        }
    }

    /// All options, in their order.
    fn list(&mut self, current: usize, can_go: bool) {
        self.choices.clear();
        self.choices.extend(can_go.then_some(Choice::Go));
        self.choices.extend(switches(self.engine, current));
        self.choices.extend(drainings(self.engine));
        self.events.clear();
        self.engine.world().events(&mut self.events);
        self.choices.extend(self.events.iter().copied().map(Choice::Fire));
    }

    /// The first option, if there is one.
    fn default_choice(&mut self, current: usize, can_go: bool) -> Option<Choice> {
        let engine = self.engine;
        let go = can_go.then_some(Choice::Go);
        let first = go.or_else(|| switches(engine, current).next());
        first.or_else(|| drainings(engine).next()).or_else(|| {
            self.events.clear();
            engine.world().events(&mut self.events);
            self.events.first().copied().map(Choice::Fire)
        })
    }

    fn fire(&mut self, event: Event) -> Result<(), End> {
        let engine = self.engine;
        let world = engine.world();
        let machine = engine.cpus().len();
        engine.recorder.note(engine.point.get(), machine, || world.describe(event));
        engine.changed();
        engine.fires.set(true);
        world.fire(event);
        engine.fires.set(false);
        engine.check().map_or(Ok(()), |violation| Err(End::Violated(violation)))
    }

    /// Nobody can run, and nothing can happen.
    fn finish(&self) -> End {
        let engine = self.engine;
        let world = engine.world();
        let waits = |cpu: &&Cpu| world.can_run(cpu.id) && cpu.pace() == Pace::Waiting;
        let waiting: Vec<_> =
            engine.cpus().iter().filter(waits).map(|cpu| cpu.id.to_string()).collect();
        if !waiting.is_empty() {
            let text = format!("CPUs {} wait, and nothing can happen", waiting.join(", "));
            return End::Violated(Violation::new(Property::Deadlock, text));
        }
        world.finish().map_or(End::Over, End::Violated)
    }
}

fn switches(engine: &'static Engine, current: usize) -> impl Iterator<Item = Choice> {
    let (before, from_current) = engine.cpus().split_at(current);
    let others = from_current.iter().skip(1).chain(before);
    others.filter(|cpu| engine.can_go(cpu)).map(|cpu| Choice::Switch(cpu.id))
}

fn drainings(engine: &'static Engine) -> impl Iterator<Item = Choice> {
    let full = engine.cpus().iter().filter(|cpu| !cpu.buffer.is_empty());
    full.map(|cpu| Choice::Drain(cpu.id))
}

impl Drop for Driver {
    fn drop(&mut self) {
        latchwork::simulation::install(None);
        self.engine.sharing.begin(false);
        self.engine.recorder.set_detail(Detail::Nothing);
        self.engine.release();
    }
}
