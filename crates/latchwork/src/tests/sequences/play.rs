// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays a sequence, and judges what came of it.

use core::cell::{Cell, RefCell};
use std::{
    format,
    panic::{AssertUnwindSafe, catch_unwind},
    string::{String, ToString},
    thread_local,
    vec::Vec,
};

use super::{
    machine::{Machine, ROUTES, Ring, SPECS, State, TICKS_PER_US},
    platform::{Deadlock, Source},
    step::{CPUS, ITEMS, SOURCES, Scope, Step},
};
use crate::{
    Class, Interrupted, Mode, Nmi, OpaqueFrame, Outcome, PerCpu, Recovery, Registration, Ticket,
    Urgency, Work, primitive::checked::interrupt, tests::world::Leaked,
};

/// What a sequence is played with, leaked until it is over.
pub(super) struct Play {
    pub(super) scope: Scope,
    pub(super) nmi: &'static Nmi<Machine>,
    pub(super) machine: &'static Machine,
    pub(super) cpus: &'static [PerCpu; CPUS],
    pub(super) sources: &'static [Source; SOURCES],
    pub(super) items: &'static [Work; ITEMS],
    pub(super) registrations: [Cell<Option<Registration>>; SOURCES],
    pub(super) tickets: RefCell<Vec<(usize, Ticket)>>,
    pub(super) steps: Vec<Step>,
    pub(super) next: Cell<usize>,
    /// How often items have run in the present step.
    pub(super) runs: Cell<usize>,
    /// A step amid others has lasted longer than sends hold.
    pub(super) stalled: Cell<bool>,
    /// When the present step began that is amid no other.
    pub(super) began: Cell<u64>,
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
    let nmi = Leaked::new(Nmi::new(Machine::new()));
    let machine = nmi.0.platform();
    let cpus = Leaked::new([const { PerCpu::new() }; CPUS]);
    let sources = Leaked::new(core::array::from_fn(|index| Source { machine, index }));
    let items = Leaked::new(FUNCTIONS.each_ref().map(Work::new));
    let leaked = Leaked::new(Play {
        scope,
        nmi: nmi.0,
        machine,
        cpus: cpus.0,
        sources: sources.0,
        items: items.0,
        registrations: [const { Cell::new(None) }; SOURCES],
        tickets: RefCell::new(Vec::new()),
        steps: steps.to_vec(),
        next: Cell::new(0),
        runs: Cell::new(0),
        stalled: Cell::new(false),
        began: Cell::new(0),
    });
    let play = leaked.0;
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
    if let (Ok(()), None) = (&played, &violated) {
        return Ok(());
    }
    // A handler may be registered, and a CPU inside the library: what they use stays.
    play.registrations.iter().for_each(|it| core::mem::forget(it.take()));
    core::mem::forget((nmi, cpus, sources, items, leaked));
    match (played, violated) {
        (_, Some(violated)) => Err(violated),
        // It is known, and after it nothing can go on.
        (Err(what), None) if what.is::<Deadlock>() => Ok(()),
        _ => Err("it panicked".to_string()),
    }
}

impl Play {
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.machine.with(act)
    }

    pub(super) fn take_step(&self) -> Option<Step> {
        if self.with(|state| state.violated.is_some()) {
            return None;
        }
        let step = self.steps.get(self.next.get()).copied()?;
        self.next.set(self.next.get() + 1);
        Some(step)
    }

    /// What `cpu` does, or what it does on top of what it is doing.
    pub(super) fn call<R>(&self, cpu: usize, act: impl FnOnce() -> R) -> R {
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

    pub(super) fn is_at_rest(&self, cpu: usize) -> bool {
        self.with(|state| state.cpus[cpu].calls == 0 && !state.cpus[cpu].is_dead)
    }

    pub(super) fn is_online(&self, cpu: usize) -> bool {
        self.with(|state| state.cpus[cpu].is_online)
    }

    pub(super) fn take(&'static self, step: Step) {
        if self.with(|state| state.nesting) == 0 {
            self.runs.set(0);
            self.stalled.set(false);
            self.began.set(self.machine.now.get());
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
                self.arrive(cpu, None, nests);
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
    pub(super) fn take_next_amid(&'static self, accesses: usize, steps: usize) {
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

    pub(super) fn deliver(&'static self, ring: Ring, nests: bool) {
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
        let outcome = self.arrive(ring.cpu, Some(ring), nests);
        let is_dead = self.with(|state| state.cpus[ring.cpu].is_dead);
        if outcome == Some(Outcome::Offline) || is_dead {
            self.machine.forget(ring);
        }
    }

    /// An edge arrives at `cpu`. Returns what came of it, unless it is latched.
    pub(super) fn arrive(
        &'static self,
        cpu: usize,
        ring: Option<Ring>,
        nests: bool,
    ) -> Option<Outcome> {
        let takes = self.with(|state| {
            let it = &mut state.cpus[cpu];
            if it.nmis != 0 && !nests {
                it.latched.push(ring);
            }
            (it.nmis == 0 || nests) && !it.is_dead && it.nmis < 8
        });
        takes.then(|| self.take_nmi(cpu))
    }

    /// A CPU that has never been offline comes online by its first NMI.
    fn shows_that_it_runs(&self, cpu: usize) {
        let was_offline = self.with(|state| {
            let it = &mut state.cpus[cpu];
            let was_offline = !it.is_online && it.life != 0;
            if !it.is_online && it.life == 0 {
                (it.life, it.is_online, it.ticks) = (1, true, true);
            }
            was_offline
        });
        if was_offline {
            self.machine.violated(format!("CPU {cpu}: an NMI brings it back from being offline"));
        }
    }

    pub(super) fn take_nmi(&'static self, cpu: usize) -> Outcome {
        let interrupted = Interrupted {
            ip: 0x1000,
            sp: 0x2000,
            fp: 0x3000,
            mode: Mode::Kernel,
            frame: core::ptr::NonNull::<OpaqueFrame>::dangling().as_ptr(),
            sources: None,
        };
        let began = self.machine.now.get();
        let outcome = self.call(cpu, || {
            let were_off = self.with(|state| {
                state.cpus[cpu].nmis += 1;
                core::mem::replace(&mut state.cpus[cpu].interrupts_off, true)
            });
            // SAFETY: the thread plays a CPU in NMI context; no handler looks at the frame.
            let outcome = unsafe { self.nmi.dispatch(&interrupted) };
            if outcome != Outcome::Offline {
                self.shows_that_it_runs(cpu);
            }
            let now = self.machine.now.get();
            self.with(|state| {
                let (it, lasts) = (&mut state.cpus[cpu], state.lasts);
                it.nmis -= 1;
                if it.nmis == 0 {
                    it.ledger.left(began, now, lasts);
                }
                it.interrupts_off = were_off;
                it.ledger.took(outcome, now);
            });
            outcome
        });
        // The end of an NMI lets the next one in, whatever is underneath.
        let latched = self.with(|state| core::mem::take(&mut state.cpus[cpu].latched));
        if !latched.is_empty() && self.take_nmi(cpu) == Outcome::Offline {
            latched.into_iter().flatten().for_each(|ring| self.machine.forget(ring));
        }
        outcome
    }

    /// Lets time pass; rings arrive before it is too late.
    pub(super) fn wait(&'static self, us: u64) {
        let until = self.machine.now.get() + us * TICKS_PER_US;
        let stalls =
            self.with(|state| state.nesting != 0 && us * 2 > u64::from(state.limits.hold_us));
        if stalls {
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
        if stalls {
            // What waits for a poll that is stuck is judged without what that poll claims.
            self.excuse_waiting();
            let (began, now) = (self.began.get(), self.machine.now.get());
            self.with(|state| {
                let lasts = state.lasts;
                state.cpus.iter_mut().for_each(|it| it.ledger.was_held_up(began, now, lasts));
            });
        }
    }

    pub(super) fn pass_until(&self, then: u64) {
        self.machine.pass_ticks(then.saturating_sub(self.machine.now.get()));
    }

    pub(super) fn has_stalled(&self) -> bool {
        self.stalled.get()
    }
}

/// Whether the ring of a send that is made now comes later than sends may take: its sender was held
/// up for too long.
pub(super) fn is_send_stuck() -> bool {
    PLAY.get().is_some_and(Play::has_stalled)
}
