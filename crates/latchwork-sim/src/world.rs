// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine, a policy on it and a scenario, as the engine runs them.

use std::{cell::Cell, hash::Hash};

use crate::{
    engine::{self, Event, Fingerprint, Interruption, Touches, Violation, World},
    event_log::{self, Logged},
    ledger::Ledger,
    machine::{
        BEGINNING_US, Bell, Doing, Fact, Happening, Machine, Occurrence, PmuKind, Ring,
        TICK_VECTOR, Witness,
    },
    policy::{Arrival, Policy},
    scenario::{Scenario, Step},
};

/// One execution of a scenario.
pub struct Simulation {
    machine: Machine,
    policy: Box<dyn Policy>,
    scenario: &'static Scenario,
    cpus: Vec<Progress>,
    ledger: Ledger,
}

/// How far a CPU has come.
#[derive(Default)]
struct Progress {
    /// The step of its script that comes next.
    step: Cell<usize>,
    /// The accesses of NMIs that nested in the NMI in progress.
    nested_accesses: Cell<usize>,
    /// The count of accesses at the last IRET from an NMI.
    accesses_at_iret: Cell<Option<usize>>,
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("scenario", &self.scenario.name)
            .field("policy", &self.policy.name())
            .field("machine", &self.machine)
            .finish()
    }
}

impl Simulation {
    /// Builds the scenario at the beginning of time. The caller then [starts](Self::start) it, at
    /// the place where it stays.
    pub fn new(
        scenario: &'static Scenario,
        extent: crate::scenario::Extent,
        policy: Box<dyn Policy>,
        witness: Box<dyn Witness>,
    ) -> Self {
        let happenings = scenario.happenings(extent);
        let machine = Machine::new(scenario.hardware, scenario.timing(extent), happenings, witness);
        let cpus = (0..scenario.hardware.cpus).map(|_| Progress::default()).collect();
        Self { machine, policy, scenario, cpus, ledger: Ledger::new(scenario.hardware.cpus) }
    }

    /// Installs the machine on this thread and sets the policy up.
    pub fn start(&'static self) {
        self.machine.install();
        self.policy.set_up(&self.scenario.plan);
    }

    fn take_step(&self, cpu: usize, step: Step) {
        match step {
            Step::Do(action) => {
                engine::note(cpu, || format!("{action:?}"));
                event_log::append(|| Logged::Acts(action));
                self.policy.act(action);
            }
            Step::Wait(us) => self.remain_for(cpu, us, |until_us| Doing::Waiting { until_us }),
            Step::Repeat(times, action) => {
                (0..times).for_each(|_| self.take_step(cpu, Step::Do(action)));
            }
            Step::Busy(us) => {
                self.machine.change_cpu(cpu, |cpu| cpu.interrupts_on = false);
                self.remain_for(cpu, us, |until_us| Doing::Busy { until_us });
                self.machine.change_cpu(cpu, |cpu| cpu.interrupts_on = true);
            }
        }
    }

    fn remain_for(&self, cpu: usize, us: u64, doing: impl FnOnce(u64) -> Doing) {
        let until_us = self.machine.with(|state| state.now_us) + us;
        self.machine.remain(cpu, doing(until_us));
    }

    fn idle(&self, cpu: usize) {
        self.machine.change_cpu(cpu, |cpu| cpu.interrupts_on = false);
        self.machine.record(&Fact::EntersIdle(cpu));
        self.policy.idle_entry();
        self.machine.record(&Fact::EnteredIdle(cpu));
        self.machine.change_cpu(cpu, |cpu| cpu.interrupts_on = !cpu.offline);
        self.machine.remain(cpu, Doing::Halted);
    }

    fn take_nmi(&self, cpu: usize) {
        let (serial, edge) = self.machine.change_cpu(cpu, |cpu| cpu.take_nmi());
        engine::note(cpu, || format!("takes NMI: {edge}"));
        self.machine.record(&Fact::Taken { cpu, serial, edge });
        engine::observe(serial as u64);
        let progress = &self.cpus[cpu];
        let begun = engine::accesses();
        let outer_nested = progress.nested_accesses.replace(0);
        let sources = self.machine.hardware.reports_sources.then(|| edge.source_bitmap());
        let back_to_back = progress.accesses_at_iret.get() == Some(begun);
        let ending = self.policy.nmi(&Arrival { cpu, serial, sources, back_to_back });
        let all = engine::accesses() - begun;
        let accesses = all - progress.nested_accesses.get();
        progress.nested_accesses.set(outer_nested + all);
        engine::note(cpu, || format!("NMI ends: {ending:?}, {accesses} accesses"));
        self.machine.record(&Fact::Ended { cpu, serial, ending, accesses });
        self.machine.change_cpu(cpu, |cpu| cpu.leave_nmi());
        progress.accesses_at_iret.set(Some(begun + all));
    }

    fn take_irq(&self, cpu: usize, vector: u8) {
        self.machine.change_cpu(cpu, |cpu| {
            cpu.interrupts_on = false;
            if vector == TICK_VECTOR {
                cpu.tick_pending = false;
            } else {
                cpu.work_pending = false;
            }
        });
        if vector == TICK_VECTOR {
            engine::note(cpu, || "tick".to_owned());
            self.machine.record(&Fact::Ticked(cpu));
            self.policy.tick();
            self.machine.record(&Fact::TickEnded(cpu));
        } else {
            engine::note(cpu, || "interrupt for work".to_owned());
            self.policy.work_interrupt();
        }
        self.machine.change_cpu(cpu, |cpu| cpu.interrupts_on = true);
    }

    fn happen(&self, place: usize) {
        let (happening, _) = self.machine.happenings[place];
        self.spend(place);
        let hardware = &self.machine.hardware;
        let timing = &self.machine.timing;
        let fact = self.machine.change(|state| match happening {
            Happening::Overflow { cpu, bit } => state.overflow(hardware, cpu, bit),
            Happening::Assert(index) => state.assert(hardware, index),
            Happening::AssertPort61(bit) => state.assert_port61(hardware, bit),
            Happening::Press => {
                let period_us = timing.press_period_us;
                state.next_press_us = period_us.map(|period_us| state.now_us + period_us);
                Some(state.press(hardware))
            }
            Happening::Smi { cpu, unblocks } => {
                let until_us = state.now_us + timing.smi_us;
                let cpu = &mut state.cpus[cpu];
                (cpu.smm_until_us, cpu.rsm_unblocks) = (Some(until_us), unblocks);
                None
            }
            Happening::Fault(cpu) => {
                state.cpus[cpu].nmis_blocked = false;
                None
            }
            Happening::Stall(cpu) => {
                state.cpus[cpu].stalled_until_us = Some(state.now_us + timing.stall_us);
                None
            }
            Happening::Hang(cpu) => {
                state.cpus[cpu].hang();
                Some(Fact::Hung(cpu))
            }
            Happening::Start(cpu) => {
                let first_tick_us = state.now_us + hardware.tick_period_us;
                state.cpus[cpu].start(first_tick_us);
                None
            }
            Happening::RingFails(cpu) => {
                state.cpus[cpu].rings_to_fail += 1;
                None
            }
            Happening::Forget(cpu) => {
                state.cpus[cpu].forgets = true;
                None
            }
            Happening::ClockSteps { cpu: number, by_us } => {
                let cpu = &mut state.cpus[number];
                cpu.clock_offset_us = cpu.clock_offset_us.wrapping_add_signed(by_us);
                Some(Fact::ClockStepped(number))
            }
            Happening::Hurry | Happening::Step => None,
        });
        if let Some(fact) = fact {
            self.machine.record(&fact);
        }
    }

    /// Whether `happening`, of which some are left, can come as an event of its own now.
    fn can_happen(&self, happening: Happening) -> bool {
        let lively = self.machine.is_lively();
        let longest_us = self.machine.timing.stall_us;
        let rested = self.machine.with(|state| state.hurried_us <= longest_us);
        self.machine.with(|state| match happening {
            Happening::Overflow { cpu, bit } => {
                let may_ring = match self.machine.hardware.pmu {
                    PmuKind::Free { max_late_edges, .. } => {
                        state.may_ring(Bell::Lvt, max_late_edges)
                    }
                    PmuKind::Absent | PmuKind::Masking => true,
                };
                lively && may_ring && state.cpus[cpu].pmu.can_overflow(bit)
            }
            Happening::Assert(index) => {
                let kind = &self.machine.hardware.externals[usize::from(index)];
                let may_ring = kind.ring == Ring::LevelHeld
                    || state.may_ring(Bell::External(index), kind.max_late_edges);
                lively && may_ring && state.externals[usize::from(index)].can_assert(kind)
            }
            Happening::AssertPort61(bit) => lively && state.port61.read() & bit == 0,
            Happening::Press => lively && state.next_press_us.is_none(),
            Happening::Smi { cpu, unblocks } => {
                let cpu = &state.cpus[cpu];
                lively && rested && !cpu.is_stopped() && (!unblocks || cpu.nmi_depth != 0)
            }
            Happening::Fault(cpu) => {
                let cpu = &state.cpus[cpu];
                lively && cpu.nmis_blocked && cpu.doing == Doing::Running && !cpu.is_stopped()
            }
            Happening::Stall(cpu) => lively && rested && state.cpus[cpu].can_run(),
            Happening::Hang(cpu) => lively && state.cpus[cpu].can_run(),
            Happening::Start(cpu) => lively && state.cpus[cpu].is_absent,
            Happening::RingFails(_) | Happening::ClockSteps { .. } => lively,
            Happening::Forget(cpu) => lively && !state.cpus[cpu].forgets,
            Happening::Hurry | Happening::Step => false,
        })
    }

    fn place_of(&self, happening: Happening) -> Option<usize> {
        self.machine.happenings.iter().position(|(one, _)| *one == happening)
    }

    fn is_left(&self, happening: Happening) -> bool {
        self.place_of(happening).is_some_and(|place| self.machine.with(|it| it.left[place] != 0))
    }

    fn spend(&self, place: usize) {
        self.machine.change(|state| state.left[place] -= 1);
    }

    /// The happening that time uses up if it passes now, if any; the outer `None` if time cannot
    /// pass. While some CPU executes instructions, no more time passes than a stall lasts, since
    /// the machine's promises about its CPUs hold for these CPUs, too.
    fn price_of_time(&self, by_step: bool) -> Option<Option<Happening>> {
        if self.machine.with(|state| state.somebody_runs()) {
            let to_us = self.time_after(by_step)?;
            let hurried_us = self.machine.with(|state| state.hurried_us + to_us - state.now_us);
            let may_hurry = self.machine.is_lively()
                && self.is_left(Happening::Hurry)
                && hurried_us <= self.machine.timing.stall_us;
            may_hurry.then_some(Some(Happening::Hurry))
        } else if by_step {
            self.is_left(Happening::Step).then_some(Some(Happening::Step))
        } else {
            Some(None)
        }
    }

    /// The time to which time passes: that of the next thing that is due, or a step from now.
    fn time_after(&self, by_step: bool) -> Option<u64> {
        let last_us = self.machine.last_tick_us() + self.machine.hardware.tick_period_us;
        let next_us = self.machine.with(|state| state.next_due_us(last_us))?;
        if !by_step {
            return Some(next_us);
        }
        let step_us = self.machine.with(|state| state.now_us) + self.machine.timing.step_us;
        (step_us < next_us).then_some(step_us)
    }

    fn pass(&self, by_step: bool) {
        let (Some(price), Some(to_us)) = (self.price_of_time(by_step), self.time_after(by_step))
        else {
            return;
        };
        if let Some(place) = price.and_then(|happening| self.place_of(happening)) {
            self.spend(place);
        }
        self.machine.pass(to_us);
    }
}

impl World for Simulation {
    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    fn run(&self, cpu: usize) {
        let script = self.scenario.scripts.get(cpu).copied().unwrap_or_default();
        while let Some(step) = script.get(self.cpus[cpu].step.get()) {
            self.take_step(cpu, *step);
            self.cpus[cpu].step.set(self.cpus[cpu].step.get() + 1);
            self.ledger.note(&*self.policy, cpu);
            engine::at_rest();
        }
        loop {
            self.idle(cpu);
            engine::at_rest();
        }
    }

    fn events(&self, out: &mut Vec<Event>) {
        self.machine.with(|state| {
            out.extend(
                state.wire.landings().map(|(cpu, bell)| Occurrence::Land(cpu, bell).event()),
            );
            for (number, cpu) in state.cpus.iter().enumerate() {
                if cpu.smm_until_us.is_some() {
                    out.push(Occurrence::EndSmi(number).event());
                }
                if cpu.stalled_until_us.is_some() {
                    out.push(Occurrence::EndStall(number).event());
                }
            }
        });
        for (by_step, occurrence) in [(false, Occurrence::Pass), (true, Occurrence::PassStep)] {
            if self.price_of_time(by_step).is_some() && self.time_after(by_step).is_some() {
                out.push(occurrence.event());
            }
        }
        for (place, (happening, _)) in self.machine.happenings.iter().enumerate() {
            if self.machine.with(|state| state.left[place] != 0) && self.can_happen(*happening) {
                out.push(Occurrence::Happens(place).event());
            }
        }
    }

    fn fire(&self, event: Event) {
        event_log::append(|| Logged::Event(Occurrence::of(event)));
        match Occurrence::of(event) {
            Occurrence::Land(cpu, bell) => self.machine.change(|state| {
                if state.wire.land(cpu, bell) {
                    state.land(cpu, bell);
                }
            }),
            Occurrence::Pass => self.pass(false),
            Occurrence::PassStep => self.pass(true),
            Occurrence::EndSmi(cpu) => self.machine.change_cpu(cpu, |cpu| cpu.leave_smm()),
            Occurrence::EndStall(cpu) => {
                self.machine.change_cpu(cpu, |cpu| cpu.stalled_until_us = None);
            }
            Occurrence::Happens(place) => self.happen(place),
        }
    }

    fn interruption(&self, cpu: usize) -> Option<Interruption> {
        self.machine.with(|state| {
            let cpu = &state.cpus[cpu];
            if cpu.takes_nmi() {
                return Some(Interruption::Nmi);
            }
            cpu.takes_irq().map(Interruption::Irq)
        })
    }

    fn interrupt(&self, cpu: usize, what: Interruption) {
        let before =
            self.machine.change_cpu(cpu, |cpu| std::mem::replace(&mut cpu.doing, Doing::Running));
        event_log::append(|| Logged::Enters(what));
        match what {
            Interruption::Nmi => self.take_nmi(cpu),
            Interruption::Irq(vector) => self.take_irq(cpu, vector),
        }
        self.ledger.note(&*self.policy, cpu);
        event_log::append(|| Logged::Leaves(what));
        self.machine.change(|state| {
            let now_us = state.now_us;
            state.cpus[cpu].resume(before, now_us);
        });
    }

    fn can_run(&self, cpu: usize) -> bool {
        self.machine.with(|state| state.cpus[cpu].can_run())
    }

    fn violation(&self) -> Option<Violation> {
        self.machine.ask_witness(|witness| witness.violation())
    }

    fn finish(&self) -> Option<Violation> {
        self.machine.ask_witness(|witness| witness.finish())
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.machine.with(|state| state.hash(fingerprint));
        for progress in &self.cpus {
            progress.step.get().hash(fingerprint);
        }
        self.policy.fold(fingerprint);
        self.machine.ask_witness(|witness| witness.fold(fingerprint));
    }

    fn touches(&self, event: Event, running: usize) -> Touches {
        let hits_it = |cpu: usize| cpu == running && !self.is_closed(cpu);
        let is_everything = match Occurrence::of(event) {
            // It sets a latch, which no code can read.
            Occurrence::Land(cpu, _) => {
                if !hits_it(cpu) {
                    return Touches::RING;
                }
                true
            }
            // Edges land, and ticks come, anywhere.
            Occurrence::Pass | Occurrence::PassStep => {
                if !hits_it(running) {
                    return Touches::HARDWARE | Touches::CLOCK;
                }
                true
            }
            Occurrence::EndSmi(cpu) | Occurrence::EndStall(cpu) => cpu == running,
            Occurrence::Happens(place) => match self.machine.happenings[place].0 {
                // A PMI that masks its entry lands at once.
                Happening::Overflow { cpu, .. } => {
                    hits_it(cpu) && !matches!(self.machine.hardware.pmu, PmuKind::Free { .. })
                }
                // Edges set out, and land by an event of their own.
                Happening::Assert(_) | Happening::AssertPort61(_) | Happening::Press => false,
                Happening::Smi { cpu, .. }
                | Happening::Stall(cpu)
                | Happening::Hang(cpu)
                | Happening::Fault(cpu) => cpu == running,
                Happening::Start(_) | Happening::RingFails(_) | Happening::Forget(_) => false,
                Happening::ClockSteps { .. } => return Touches::HARDWARE | Touches::CLOCK,
                Happening::Hurry | Happening::Step => true,
            },
        };
        if is_everything { Touches::EVERYTHING } else { Touches::HARDWARE }
    }

    /// Whether the CPU is in an NMI's handler and nothing is left that unblocks NMIs there.
    fn is_closed(&self, cpu: usize) -> bool {
        let blocked = self.machine.with(|state| {
            let cpu = &state.cpus[cpu];
            cpu.nmis_blocked && cpu.nmi_depth != 0 && !cpu.rsm_unblocks
        });
        blocked
            && !self.is_left(Happening::Fault(cpu))
            && !self.is_left(Happening::Smi { cpu, unblocks: true })
    }

    fn describe(&self, event: Event) -> String {
        match Occurrence::of(event) {
            Occurrence::Land(cpu, bell) => format!("edge of {bell} lands at CPU {cpu}"),
            Occurrence::Pass | Occurrence::PassStep => {
                let by_step = Occurrence::of(event) == Occurrence::PassStep;
                let to_us = self.time_after(by_step).unwrap_or(BEGINNING_US);
                format!("time passes, to {} us", to_us - BEGINNING_US)
            }
            Occurrence::EndSmi(cpu) => format!("SMI on CPU {cpu} ends"),
            Occurrence::EndStall(cpu) => format!("CPU {cpu} runs again"),
            Occurrence::Happens(place) => self.machine.happenings[place].0.to_string(),
        }
    }
}
