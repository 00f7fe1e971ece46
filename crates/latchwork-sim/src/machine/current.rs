// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine as a whole, and how code that runs on it finds it.

use std::cell::{Cell, RefCell};

use super::{
    Cpu, Doing, Fact, Hardware, Route, Timing,
    fact::Witness,
    happening::Happening,
    state::{BEGINNING_US, SendUnderWay, State},
};
use crate::{
    engine::{self, Touches},
    event_log,
};

/// A machine: its hardware, its state, and the monitors that watch it.
pub struct Machine {
    /// Its hardware.
    pub hardware: Hardware,
    /// How long things last on it.
    pub timing: Timing,
    /// What its environment may do, and how often.
    pub happenings: &'static [(Happening, u8)],
    state: RefCell<State>,
    witness: RefCell<Box<dyn Witness>>,
    /// The CPU that code runs on where no engine runs it.
    driven_cpu: Cell<Option<usize>>,
    /// How often the status of external device 0 was read. A statistic: no code decides by it.
    external_reads: Cell<u64>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("state", &self.state).finish_non_exhaustive()
    }
}

thread_local! {
    static CURRENT: Cell<Option<&'static Machine>> = const { Cell::new(None) };
}

/// The machine that this thread runs.
///
/// # Panics
///
/// If there is none.
pub fn current() -> &'static Machine {
    CURRENT.get().expect("a machine is installed before its code runs")
}

impl Machine {
    /// A machine at the beginning of time.
    pub fn new(
        hardware: Hardware,
        timing: Timing,
        happenings: &'static [(Happening, u8)],
        witness: Box<dyn Witness>,
    ) -> Self {
        let left = happenings.iter().map(|(_, times)| *times).collect();
        Self {
            hardware,
            timing,
            happenings,
            state: RefCell::new(State::new(&hardware, left)),
            witness: RefCell::new(witness),
            driven_cpu: Cell::new(None),
            external_reads: Cell::new(0),
        }
    }

    /// Makes it the machine of this thread.
    pub fn install(&'static self) {
        CURRENT.set(Some(self));
    }

    /// The CPU that the calling code runs on. A kernel that is set up before time begins runs on
    /// the first.
    pub fn this_cpu(&self) -> usize {
        engine::this_cpu().or(self.driven_cpu.get()).unwrap_or(0)
    }

    /// Makes `cpu` the CPU on which the following code runs. Only where no engine runs the machine.
    pub fn drive(&self, cpu: usize) {
        self.driven_cpu.set(Some(cpu));
    }

    /// Counts a read of the status of external device 0.
    pub fn count_external_read(&self) {
        self.external_reads.set(self.external_reads.get() + 1);
    }

    /// How often the status of external device 0 was read.
    pub fn external_reads(&self) -> u64 {
        self.external_reads.get()
    }

    /// Looks at the state.
    pub fn with<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.borrow())
    }

    /// Changes the state. No choice point may lie inside.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.borrow_mut();
        let before = state.wire.edges();
        let result = change(&mut state);
        let rings = state.wire.edges() != before;
        engine::acts(if rings { Touches::HARDWARE | Touches::RING } else { Touches::HARDWARE });
        result
    }

    /// Changes a CPU. No choice point may lie inside.
    pub fn change_cpu<R>(&self, cpu: usize, change: impl FnOnce(&mut Cpu) -> R) -> R {
        self.change(|state| change(&mut state.cpus[cpu]))
    }

    /// Passes a fact on to the monitors.
    pub fn record(&self, fact: &Fact) {
        engine::acts(Touches::HARDWARE);
        note_claim(fact);
        let now_us = self.state.borrow().now_us;
        event_log::append_at(now_us, || event_log::Logged::Fact(fact.clone()));
        self.witness.borrow_mut().note(now_us, fact);
    }

    /// Calls `ask` with the monitors.
    pub fn ask_witness<R>(&self, ask: impl FnOnce(&dyn Witness) -> R) -> R {
        ask(&**self.witness.borrow())
    }

    /// Whom external device `index` rings.
    pub fn route_of(&self, index: u8) -> Route {
        let kind = &self.hardware.externals[usize::from(index)];
        self.with(|state| state.externals[usize::from(index)].route(kind))
    }

    /// When the last tick may come.
    pub fn last_tick_us(&self) -> u64 {
        BEGINNING_US + self.timing.horizon_us
    }

    /// Whether sources may still raise something.
    pub fn is_lively(&self) -> bool {
        self.with(|state| state.now_us) < BEGINNING_US + self.timing.quiet_us
    }

    /// Lets time pass to `to_us`.
    pub fn pass(&self, to_us: u64) {
        let (period_us, last_us) = (self.hardware.tick_period_us, self.last_tick_us());
        let fact = self.change(|state| state.pass(to_us, period_us, last_us));
        self.record(&fact);
        let pressed = self.change(|state| {
            state.next_press_us.take_if(|due_us| *due_us <= to_us).map(|due_us| {
                let next_us = self.timing.press_period_us.map(|period_us| due_us + period_us);
                state.next_press_us = next_us.filter(|next_us| *next_us <= last_us);
                state.press(&self.hardware)
            })
        });
        if let Some(fact) = pressed {
            self.record(&fact);
        }
    }

    /// Keeps this CPU from executing anything of its own until `doing` is over: it waits, is busy
    /// or parked.
    pub fn remain(&self, cpu: usize, doing: Doing) {
        event_log::append(|| event_log::Logged::Remains(doing));
        self.change_cpu(cpu, |cpu| cpu.doing = doing);
        while self.with(|state| state.cpus[cpu].doing != Doing::Running) {
            engine::hardware(engine::Access::Local, || ());
        }
    }

    /// Begins a send from this CPU: from now on `to` can take its request.
    pub fn begin_send(&self, to: usize) {
        let from = self.this_cpu();
        self.change(|state| {
            state.sends.push(SendUnderWay { from, to, began_us: state.now_us });
        });
        self.record(&Fact::SendBegan { to });
    }

    /// Ends the latest send from this CPU.
    pub fn end_send(&self, accepted: bool) {
        let from = self.this_cpu();
        let ended = self.change(|state| {
            let place = state.sends.iter().rposition(|send| send.from == from)?;
            Some(state.sends.remove(place))
        });
        if let Some(send) = ended {
            self.record(&Fact::SendEnded { to: send.to, accepted });
        }
    }
}

/// Notes what was claimed in the timeline.
fn note_claim(fact: &Fact) {
    match *fact {
        Fact::Consumed { condition, cpu } => {
            engine::note(cpu, || format!("claims {condition}"));
        }
        Fact::Served { cpu, sends, .. } => {
            engine::note(cpu, || format!("takes {sends} request(s)"))
        }
        _ => {}
    }
}
