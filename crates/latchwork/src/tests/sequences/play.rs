// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays a sequence, and judges what came of it.

use core::cell::{Cell, RefCell};
use std::{
    boxed::Box,
    format,
    panic::{AssertUnwindSafe, catch_unwind},
    string::{String, ToString},
    thread_local,
    vec::Vec,
};

use super::{
    machine::{Deadlock, Machine, ROUTES, Ring, SPECS, Source, State, TICKS_PER_US, lasts},
    step::{CPUS, ITEMS, SOURCES, Scope, Step},
};
use crate::{
    Class, Interrupted, Limits, Mode, Nmi, OpaqueFrame, Outcome, PerCpu, PlatformDelivery,
    Recovery, Registration, Request, SendError, Ticket, Urgency, Work,
    primitive::checked::interrupt,
};

/// What a sequence is played with, leaked until it is over.
pub(super) struct Play {
    scope: Scope,
    nmi: &'static Nmi<Machine>,
    machine: &'static Machine,
    cpus: &'static [PerCpu],
    sources: &'static [Source],
    items: &'static [Work],
    registrations: [Cell<Option<Registration>>; SOURCES],
    tickets: RefCell<Vec<(usize, Ticket)>>,
    steps: Vec<Step>,
    next: Cell<usize>,
    /// How often items have run in the present step.
    runs: Cell<usize>,
    /// A step amid others has lasted longer than sends hold.
    stalled: Cell<bool>,
}

thread_local! {
    static PLAY: Cell<Option<&'static Play>> = Cell::from(None);
}

static FUNCTIONS: [fn(usize); ITEMS] = [run::<0>, run::<1>, run::<2>];

fn run<const ITEM: usize>(_: usize) {
    let Some(play) = PLAY.get() else {
        return;
    };
    let requeues = play.machine.with(|state| {
        state.ran[ITEM] += 1;
        state.requeues[ITEM]
    });
    play.runs.set(play.runs.get() + 1);
    if play.runs.get() > 200 {
        play.machine.violated("items run for ever".to_string());
        play.machine.with(|state| state.requeues = [false; ITEMS]);
    } else if requeues {
        play.queue(play.machine.cpu.get(), play.machine.cpu.get(), ITEM, Urgency::Now);
        play.nmi.run_work();
    }
}

/// Plays `steps`.
///
/// # Errors
///
/// What was not as it ought to be.
pub(super) fn play(scope: Scope, steps: &[Step]) -> Result<(), String> {
    let nmi: &'static Nmi<Machine> = Box::leak(Box::new(Nmi::new(Machine::new())));
    let machine = nmi.platform();
    let sources = (0..SOURCES).map(|index| Source { machine, index }).collect();
    let play: &'static Play = Box::leak(Box::new(Play {
        scope,
        nmi,
        machine,
        cpus: Vec::leak((0..CPUS).map(|_| PerCpu::new()).collect()),
        sources: Vec::leak(sources),
        items: Vec::leak(FUNCTIONS.iter().map(|function| Work::new(function)).collect()),
        registrations: [const { Cell::new(None) }; SOURCES],
        tickets: RefCell::new(Vec::new()),
        steps: steps.to_vec(),
        next: Cell::new(0),
        runs: Cell::new(0),
        stalled: Cell::new(false),
    }));
    PLAY.set(Some(play));
    let played = catch_unwind(AssertUnwindSafe(|| {
        play.begin();
        while let Some(step) = play.take_step() {
            play.take(step);
        }
        interrupt::disarm();
        play.end();
    }));
    interrupt::disarm();
    PLAY.set(None);
    let violated = machine.with(|state| state.violated.take());
    match (played, violated) {
        (_, Some(violated)) => {
            play.registrations.iter().for_each(|it| core::mem::forget(it.take()));
            Err(violated)
        }
        // A known violation, after which nothing can go on.
        (Err(what), None) if what.is::<Deadlock>() => Ok(()),
        (Err(_), None) => Err("it panicked".to_string()),
        (Ok(()), None) => {
            play.free();
            Ok(())
        }
    }
}

/// Leaves out what a violation does not need.
pub(super) fn shortest(scope: Scope, mut steps: Vec<Step>) -> (Vec<Step>, String) {
    let mut why = play(scope, &steps).err().unwrap_or_default();
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        match play(scope, &fewer) {
            Err(what) => (steps, why, at) = (fewer, what, 0),
            Ok(()) => at += 1,
        }
    }
    (steps, why)
}

impl Play {
    fn free(&'static self) {
        let Self { nmi, cpus, sources, items, .. } = *self;
        // SAFETY: all of these are from `Box::leak` and `Vec::leak` in `play`; every handler is
        // removed, no item is queued, and nothing else refers to them.
        unsafe {
            drop(Box::from_raw(core::ptr::from_ref(nmi).cast_mut()));
            drop(Box::from_raw(core::ptr::from_ref(cpus).cast_mut()));
            drop(Box::from_raw(core::ptr::from_ref(sources).cast_mut()));
            drop(Box::from_raw(core::ptr::from_ref(items).cast_mut()));
            drop(Box::from_raw(core::ptr::from_ref(self).cast_mut()));
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.machine.with(act)
    }

    fn take_step(&self) -> Option<Step> {
        if self.with(|state| state.violated.is_some()) {
            return None;
        }
        let step = self.steps.get(self.next.get()).copied()?;
        self.next.set(self.next.get() + 1);
        Some(step)
    }

    fn begin(&'static self) {
        self.machine.nmi.set(Some(self.nmi));
        self.nmi.init(self.cpus).unwrap();
        for cpu in 0..if self.scope.starts { 1 } else { CPUS } {
            self.come_online(cpu);
        }
        for source in 0..SOURCES {
            self.register(source);
        }
        self.wait(2_000);
        self.tick(0);
    }

    /// What `cpu` does, or what it does on top of what it is doing.
    fn call<R>(&self, cpu: usize, act: impl FnOnce() -> R) -> R {
        let before = self.machine.cpu.replace(cpu);
        let now = self.machine.now.get();
        self.with(|state| {
            let it = &mut state.cpus[cpu];
            if it.calls == 0 {
                it.ledger.begin(now);
            }
            it.calls += 1;
        });
        let result = act();
        let stats = self.nmi.cpu_stats(cpu).unwrap_or_default();
        let said = self.with(|state| {
            let it = &mut state.cpus[cpu];
            it.calls -= 1;
            if it.calls != 0 {
                return Ok(());
            }
            if it.interrupts_off {
                return Err("interrupts stay off".to_string());
            }
            it.ledger.end(stats)
        });
        if let Err(what) = said {
            self.machine.violated(format!("CPU {cpu}: {what}"));
        }
        self.machine.cpu.set(before);
        result
    }

    fn is_at_rest(&self, cpu: usize) -> bool {
        self.with(|state| state.cpus[cpu].calls == 0 && !state.cpus[cpu].is_dead)
    }

    fn is_online(&self, cpu: usize) -> bool {
        self.with(|state| state.cpus[cpu].is_online)
    }

    /// A CPU that registers and sets, where nothing is amid anything.
    fn writer(&self) -> Option<usize> {
        let at_rest = self.with(|state| state.nesting) == 0;
        (0..CPUS).find(|cpu| at_rest && self.is_online(*cpu) && self.is_at_rest(*cpu))
    }

    fn take(&'static self, step: Step) {
        if self.with(|state| state.nesting) == 0 {
            self.runs.set(0);
            self.stalled.set(false);
            self.end_removals();
        }
        self.machine.set_at(format!("{step:?}"));
        match step {
            Step::Amid { accesses, steps } => self.take_next_amid(accesses, steps),
            Step::Raise { source, cpu } => self.machine.raise(source, cpu),
            Step::Deliver { pick, nests } => {
                let ring = self.with(|state| {
                    let rings = &mut state.rings;
                    (!rings.is_empty()).then(|| rings.remove(pick % rings.len()))
                });
                if let Some(ring) = ring {
                    self.deliver(ring, nests);
                }
            }
            Step::Spurious { cpu, nests } => {
                self.with(|state| state.cpus[cpu].ledger.true_unknowns += 1);
                self.arrive(cpu, nests);
            }
            Step::Send { from, to, request } => self.send(from, to, request),
            Step::FailRing => self.with(|state| state.fails_ring = true),
            Step::Wait { us } => self.wait(us),
            Step::Tick { cpu } => self.tick(cpu),
            Step::Interrupt { cpu } => self.interrupt(cpu),
            Step::Idle { cpu } if self.is_online(cpu) && self.is_at_rest(cpu) => {
                self.call(cpu, || self.nmi.entering_idle());
            }
            Step::StopTick { cpu } if self.is_online(cpu) && self.is_at_rest(cpu) => {
                self.with(|state| state.cpus[cpu].ticks = false);
                self.call(cpu, || self.nmi.tick_stopped());
            }
            Step::GoOffline { cpu } => self.go_offline(cpu),
            Step::ComeOnline { cpu } => self.come_online(cpu),
            Step::Mark { cpu, by } => self.mark(cpu, by),
            Step::Register { source } => self.register(source),
            Step::Remove { source, tries } => self.remove(source, tries),
            Step::ClaimOutside { source, cpu } => self.claim_outside(source, cpu),
            Step::Queue { from, to, item, urgency } => self.queue(from, to, item, urgency),
            Step::Requeue { item } => self.with(|state| state.requeues[item] = true),
            Step::Route { source, route } => self.set_route(source, ROUTES[route]),
            Step::Limits { which } => self.set_limits(which),
            Step::ResetClocks { ticks } => self.reset_clocks(ticks),
            Step::More { source } => self.with(|state| state.wants_more[source] = true),
            Step::Recovery { by_nmi } => {
                self.nmi.set_recovery(if by_nmi { Recovery::ProbeNmi } else { Recovery::Poll });
            }
            Step::Idle { .. } | Step::StopTick { .. } => {}
        }
    }

    /// Takes the next step, and amid it those behind it.
    fn take_next_amid(&'static self, accesses: usize, steps: usize) {
        let Some(next) = self.take_step() else {
            return;
        };
        interrupt::arm(accesses, move || {
            self.with(|state| state.nesting += 1);
            let cpu = self.machine.cpu.get();
            for _ in 0..steps {
                if let Some(step) = self.take_step() {
                    self.take(step);
                }
            }
            self.machine.cpu.set(cpu);
            self.with(|state| state.nesting -= 1);
        });
        self.take(next);
        interrupt::disarm();
    }

    fn deliver(&'static self, ring: Ring, nests: bool) {
        let is_set = self.machine.is_condition_set(ring);
        let is_asked = ring.of.is_some_and(|(source, _)| self.with(|it| it.is_registered[source]));
        // Nobody is asked for it, nor owes a poll for it.
        let is_local = ring.of.is_some_and(|(source, _)| SPECS[source].class == Class::Local);
        if is_local && !is_asked {
            self.machine.forget(ring);
        }
        if ring.is_excused || ring.due.is_none() && !(is_set && is_asked) {
            self.with(|state| state.cpus[ring.cpu].ledger.true_unknowns += 1);
        }
        let outcome = self.arrive(ring.cpu, nests);
        let is_dead = self.with(|state| state.cpus[ring.cpu].is_dead);
        if outcome == Some(Outcome::Offline) || is_dead {
            self.machine.forget(ring);
        }
    }

    /// An edge arrives at `cpu`. Returns what came of it, unless it is latched.
    fn arrive(&'static self, cpu: usize, nests: bool) -> Option<Outcome> {
        let takes = self.with(|state| {
            let it = &mut state.cpus[cpu];
            it.has_latched |= it.nmis != 0 && !nests;
            (it.nmis == 0 || nests) && !it.is_dead && it.nmis < 8
        });
        takes.then(|| self.take_nmi(cpu))
    }

    fn take_nmi(&'static self, cpu: usize) -> Outcome {
        let interrupted = Interrupted {
            ip: 0x1000,
            sp: 0x2000,
            fp: 0x3000,
            mode: Mode::Kernel,
            frame: core::ptr::NonNull::<OpaqueFrame>::dangling().as_ptr(),
            sources: None,
        };
        let outcome = self.call(cpu, || {
            let were_off = self.with(|state| {
                state.cpus[cpu].nmis += 1;
                core::mem::replace(&mut state.cpus[cpu].interrupts_off, true)
            });
            // SAFETY: the thread plays a CPU in NMI context; no handler looks at the frame.
            let outcome = unsafe { self.nmi.dispatch(&interrupted) };
            let now = self.machine.now.get();
            self.with(|state| {
                let it = &mut state.cpus[cpu];
                it.nmis -= 1;
                it.interrupts_off = were_off;
                it.ledger.took(outcome, now);
            });
            outcome
        });
        // The end of an NMI lets the next one in, whatever is underneath.
        let latched = self.with(|state| core::mem::take(&mut state.cpus[cpu].has_latched));
        if latched {
            self.take_nmi(cpu);
        }
        outcome
    }

    /// Lets time pass; rings arrive before it is too late.
    fn wait(&'static self, us: u64) {
        let until = self.machine.now.get() + us * TICKS_PER_US;
        if self.with(|state| state.nesting != 0 && us * 2 > u64::from(state.limits.hold_us)) {
            self.stalled.set(true);
            // Whatever was to be explained in an NMI that lasts longer than grants do.
            self.with(|state| {
                for it in &mut state.cpus {
                    it.ledger.true_unknowns += if it.calls == 0 { 0 } else { it.nmis + 1 };
                }
            });
        }
        loop {
            let ring = self.with(|state| {
                let rings = state.rings.iter().enumerate();
                let due = rings.filter_map(|(index, ring)| Some((ring.due?, index))).min()?;
                (due.0 <= until).then(|| (due.0, state.rings.remove(due.1)))
            });
            let Some((due, ring)) = ring else {
                break;
            };
            self.pass_until(due);
            self.deliver(ring, false);
        }
        self.pass_until(until);
    }

    fn pass_until(&self, then: u64) {
        self.machine.pass_ticks(then.saturating_sub(self.machine.now.get()));
    }

    fn send(&'static self, from: usize, to: usize, request: Request) {
        if self.with(|state| state.cpus[from].is_dead || !state.cpus[from].is_online) {
            return;
        }
        let (was_online, life) = self.with(|state| {
            let it = &mut state.cpus[to];
            it.stops += usize::from(request == Request::Stop);
            (it.is_online, it.life)
        });
        let began = self.machine.now.get();
        self.with(|state| state.sends.push(began));
        let sent = self.call(from, || self.nmi.send(to, request));
        let accepted = matches!(sent, Ok(()) | Err(SendError::NotRung(_)));
        self.with(|state| {
            state.sends.pop();
            let it = &mut state.cpus[to];
            if it.life != life {
                it.is_unsure = true;
                let rings = state.rings.iter_mut().filter(|ring| ring.cpu == to);
                rings.for_each(|ring| ring.is_excused = true);
            } else if accepted {
                it.accepted[request as usize] += 1;
            } else {
                it.stops -= usize::from(request == Request::Stop);
            }
        });
        if accepted && !was_online && !self.is_online(to) {
            self.machine.violated(format!("a send to CPU {to} is accepted, which is not there"));
        }
    }

    fn tick(&'static self, cpu: usize) {
        if !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        let now = self.machine.now.get();
        self.call(cpu, || {
            self.with(|state| state.cpus[cpu].interrupts_off = true);
            self.nmi.tick();
            self.with(|state| state.cpus[cpu].interrupts_off = false);
        });
        let waits = self.with(|state| {
            let since = state.cpus[cpu].ledger.waits_since()?;
            (since + state.lasts < now).then(|| now - since)
        });
        if let Some(ticks) = waits {
            self.machine.violated(format!("CPU {cpu}: an edge waits for {ticks} ticks"));
        }
    }

    /// The interrupt for work, if it is pending.
    fn interrupt(&'static self, cpu: usize) {
        if !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        if self.with(|state| core::mem::take(&mut state.cpus[cpu].is_interrupted)) {
            let ticked = self.with(|state| state.cpus[cpu].ticks);
            self.call(cpu, || self.nmi.run_work());
            if !ticked && self.with(|state| state.cpus[cpu].ticks) {
                self.call(cpu, || self.nmi.tick_restarted());
            }
        }
    }

    fn go_offline(&'static self, cpu: usize) {
        let others = (0..CPUS).any(|other| other != cpu && self.is_online(other));
        if !others || !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        if self.call(cpu, || self.nmi.go_offline()).is_ok() {
            self.is_away(cpu);
            self.call(cpu, || self.nmi.run_work());
        }
    }

    fn is_away(&self, cpu: usize) {
        self.with(|state| {
            state.cpus[cpu].is_online = false;
            state.cpus[cpu].is_interrupted = false;
        });
        self.machine.forget_local_conditions(cpu);
    }

    fn excuse_rings(&self, cpu: usize) {
        self.with(|state| {
            let rings = state.rings.iter_mut().filter(|ring| ring.cpu == cpu);
            rings.for_each(|ring| ring.is_excused = true);
        });
    }

    fn come_online(&'static self, cpu: usize) {
        if self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        self.excuse_rings(cpu);
        self.with(|state| {
            let it = &mut state.cpus[cpu];
            it.life += 1;
            (it.stops, it.parked) = (0, 0);
            it.accepted = it.served;
            (it.is_online, it.ticks) = (true, true);
        });
        let came = self.call(cpu, || self.nmi.come_online());
        self.excuse_rings(cpu);
        if self.with(|state| state.cpus[cpu].ledger.waits_since()).is_some() || came.is_err() {
            self.machine.violated(format!("CPU {cpu}: a deferred edge is in no count, {came:?}"));
        }
        self.with(|state| state.cpus[cpu].ledger.settle_all());
        self.call(cpu, || self.nmi.tick_restarted());
        self.call(cpu, || self.nmi.run_work());
    }

    fn mark(&'static self, cpu: usize, by: usize) {
        let is_meant = cpu != by && self.is_online(by) && self.is_at_rest(by);
        if !is_meant || !self.is_at_rest(cpu) {
            return;
        }
        self.with(|state| state.cpus[cpu].is_dead = true);
        self.call(by, || {
            // SAFETY: nothing is amid anything on that CPU, and it does nothing while it is dead.
            let marked = unsafe { self.nmi.mark_offline(cpu) };
            self.is_away(cpu);
            marked.unwrap();
        });
        self.with(|state| state.cpus[cpu].is_dead = false);
        self.call(by, || self.nmi.run_work());
    }

    fn register(&'static self, source: usize) {
        let is_alive = self.with(|state| state.is_alive[source]);
        let Some(cpu) = self.writer().filter(|_| !is_alive) else {
            return;
        };
        let spec = match self.scope.elsewhere {
            true => SPECS[source],
            false => SPECS[source].delivery(PlatformDelivery::All),
        };
        self.with(|state| {
            state.is_alive[source] = true;
            state.routes[source] = State::route_of(spec);
        });
        let handler = &self.sources[source];
        let registered = self.call(cpu, || self.nmi.register(&spec, handler));
        match registered {
            Ok(it) => {
                self.registrations[source].set(Some(it));
                self.with(|state| state.is_registered[source] = true);
            }
            Err(_) => self.with(|state| state.is_alive[source] = false),
        }
    }

    fn remove(&'static self, source: usize, tries: bool) {
        let cpu = self.writer();
        let Some(registration) = self.registrations[source].take() else {
            return;
        };
        match cpu {
            _ if tries => {
                self.with(|state| state.is_registered[source] = false);
                self.machine.abandon(source);
                let ticket = self.call(self.machine.cpu.get(), || registration.try_remove());
                self.tickets.borrow_mut().push((source, ticket));
            }
            None => self.registrations[source].set(Some(registration)),
            Some(cpu) => {
                self.with(|state| state.is_registered[source] = false);
                self.machine.abandon(source);
                match self.call(cpu, || registration.remove_within_ms(2)) {
                    Ok(()) => self.with(|state| state.is_alive[source] = false),
                    Err(error) => {
                        self.registrations[source].set(Some(error.registration));
                        self.with(|state| state.is_registered[source] = true);
                    }
                }
            }
        }
    }

    fn end_removals(&self) {
        self.tickets.borrow_mut().retain_mut(|(source, ticket)| {
            let is_over = ticket.is_over();
            if is_over {
                self.with(|state| state.is_alive[*source] = false);
            }
            !is_over
        });
    }

    fn claim_outside(&'static self, source: usize, cpu: usize) {
        let is_set = self.machine.is_set(source, cpu);
        if !is_set || !self.is_online(cpu) || !self.is_at_rest(cpu) {
            return;
        }
        let Some(registration) = self.registrations[source].take() else {
            return;
        };
        if self.with(|state| state.nesting) == 0 && SPECS[source].class != Class::Unknown {
            // The ring may be absorbed before the condition is claimed.
            let began = self.machine.now.get();
            self.machine.may_ring(source, cpu);
            self.call(cpu, || {
                registration.claim_outside_nmi(|| {
                    let _ = self.machine.claim(source, cpu);
                    if self.machine.now.get() - began > 100 * TICKS_PER_US {
                        self.machine.may_ring(source, cpu);
                    }
                });
            });
        }
        self.registrations[source].set(Some(registration));
    }

    fn queue(&self, from: usize, to: usize, item: usize, urgency: Urgency) {
        if self.with(|state| state.cpus[from].is_dead) {
            return;
        }
        let item_there = &self.items[item];
        let queued = self.call(from, || self.nmi.queue_on(to, item_there, urgency));
        if queued == Ok(true) {
            self.with(|state| state.queued[item] += 1);
        }
    }

    fn set_route(&'static self, source: usize, route: &'static [usize]) {
        let Some(cpu) = self.writer().filter(|_| SPECS[source].class == Class::Platform) else {
            return;
        };
        let Some(registration) = self.registrations[source].take() else {
            return;
        };
        self.with(|state| route.iter().for_each(|cpu| state.routes[source][*cpu] = true));
        let delivery = PlatformDelivery::Cpus(route);
        let set = self.call(cpu, || self.nmi.set_delivery(registration.id(), delivery));
        self.registrations[source].set(Some(registration));
        if set.is_ok() {
            self.with(|state| {
                state.routes[source] = core::array::from_fn(|cpu| route.contains(&cpu));
                let is_of_it = |ring: &Ring| ring.of.is_some_and(|(of, _)| of == source);
                // Their condition may be claimed later, when they ring here no more.
                for ring in state.rings.iter_mut().filter(|ring| is_of_it(ring)) {
                    ring.is_excused |= ring.due.is_none() && !route.contains(&ring.cpu);
                }
            });
        }
    }

    /// What is under way, or waits, goes by what was set before: nothing has to explain it.
    fn excuse_all(&self) {
        (0..CPUS).for_each(|cpu| self.excuse_rings(cpu));
        self.with(|state| {
            for it in &mut state.cpus {
                it.ledger.true_unknowns += it.ledger.waiting();
            }
        });
    }

    fn set_limits(&'static self, which: usize) {
        let small = Limits { late_us: 1_000, cap_us: 5_000, hold_us: 2_000, ..Limits::BARE_METAL };
        let Some(cpu) = self.writer() else {
            return;
        };
        let limits = [Limits::BARE_METAL, Limits::HYPERVISOR, small][which];
        self.excuse_all();
        self.with(|state| state.lasts = state.lasts.max(lasts(limits)));
        if self.call(cpu, || self.nmi.set_limits(limits)).is_ok() {
            self.with(|state| state.limits = limits);
        }
        self.excuse_all();
    }

    fn reset_clocks(&'static self, ticks: u64) {
        if self.with(|state| state.nesting) == 0 {
            self.excuse_all();
            self.machine.shown.set(ticks);
        }
    }

    pub(super) fn has_stalled(&self) -> bool {
        self.stalled.get()
    }

    fn deliver_all(&'static self) {
        loop {
            let ring = self.with(|state| state.rings.pop());
            let Some(ring) = ring else {
                return;
            };
            self.deliver(ring, false);
        }
    }

    fn run_ms(&'static self, ms: usize) {
        for _ in 0..ms {
            self.runs.set(0);
            self.wait(1_000);
            for cpu in 0..CPUS {
                self.deliver_all();
                self.interrupt(cpu);
                if self.with(|state| state.cpus[cpu].ticks) {
                    self.tick(cpu);
                }
                self.deliver_all();
                self.interrupt(cpu);
            }
        }
        self.end_removals();
    }

    /// Lets everything come to rest, and judges what is left.
    fn end(&'static self) {
        self.with(|state| {
            state.requeues = [false; ITEMS];
            state.wants_more = [false; SOURCES];
            state.fails_ring = false;
        });
        self.machine.set_at("at the end".to_string());
        self.deliver_all();
        self.run_ms(30);
        for (source, cpu) in (0..SOURCES).flat_map(|source| (0..CPUS).map(move |cpu| (source, cpu)))
        {
            let is_asked = self.with(|state| state.is_registered[source]) && self.is_online(cpu);
            if is_asked && self.machine.is_set(source, cpu) {
                self.machine.violated(format!("source {source} on CPU {cpu} is not claimed"));
            }
        }
        if self.with(|state| state.is_alive != state.is_registered) {
            self.machine.violated("a removal is not over".to_string());
        }
        for cpu in 0..CPUS {
            self.come_online(cpu);
            self.with(|state| state.cpus[cpu].ticks = true);
            self.call(cpu, || self.nmi.tick_restarted());
        }
        self.run_ms(5);
        self.wait(self.with(|state| state.lasts) / TICKS_PER_US);
        self.run_ms(5);
        self.machine.set_at("after the end".to_string());
        self.expect_repeated_unknowns();
        self.wait(400_000);
        self.run_ms(3);
        self.expect_served();
        self.machine.check_storms();
        if self.with(|state| state.violated.is_none()) {
            for registration in &self.registrations {
                if let Some(it) = registration.take() {
                    it.remove().unwrap();
                }
            }
        }
    }

    /// Nothing is under way: an unknown that comes three times is said three times, and is not
    /// taken for a late send.
    fn expect_repeated_unknowns(&'static self) {
        const TIMES: usize = 3;
        for cpu in 0..CPUS {
            let said = |cpu| self.nmi.cpu_stats(cpu).map_or(0, |stats| stats.unknown);
            // It may take a request whose ring failed.
            self.with(|state| state.cpus[cpu].ledger.true_unknowns += 1);
            self.take_nmi(cpu);
            self.run_ms(30);
            self.wait(self.with(|state| state.lasts) / TICKS_PER_US);
            self.run_ms(2);
            let before = said(cpu);
            self.with(|state| state.late_sends = 0);
            for _ in 0..TIMES {
                self.with(|state| state.cpus[cpu].ledger.true_unknowns += 1);
                self.take_nmi(cpu);
                self.wait(120_000);
                self.run_ms(2);
            }
            let (late_sends, said) = (self.with(|state| state.late_sends), said(cpu) - before);
            if said != TIMES || late_sends > 1 {
                let what = format!("CPU {cpu}: {said} of {TIMES} said, {late_sends} as late sends");
                self.machine.violated(what);
            }
        }
    }

    fn expect_served(&self) {
        for cpu in 0..CPUS {
            let unserved = self.with(|state| {
                let it = &state.cpus[cpu];
                let but_again = ..Request::Again as usize;
                let is_served = it.accepted[but_again] == it.served[but_again];
                // The library sends probes as well.
                let probes = Request::Probe as usize;
                let others = it.accepted.iter().zip(&it.served).enumerate();
                let served = others.take(5).all(|(kind, (to, by))| kind == probes || to == by);
                let parked = it.stops == 0 || it.parked != 0;
                (!it.is_unsure && !(is_served || served) || !it.is_unsure && !parked)
                    .then(|| format!("{:?} accepted, {:?} served", it.accepted, it.served))
            });
            if let Some(what) = unserved {
                self.machine.violated(format!("CPU {cpu}: {what}"));
            }
        }
        let (queued, ran) = self.with(|state| (state.queued, state.ran));
        if queued != ran {
            self.machine.violated(format!("items were queued {queued:?} times, and ran {ran:?}"));
        }
    }
}

/// Whether the ring of a send that is made now comes later than sends may take: its sender was held
/// up for too long.
pub(super) fn is_send_stuck() -> bool {
    PLAY.get().is_some_and(Play::has_stalled)
}
