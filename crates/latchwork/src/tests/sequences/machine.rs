// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine on which a sequence is played: one thread, three CPUs, rings that are under way; and
//! the platform of the library there.

use core::cell::{Cell, RefCell};
use std::{format, string::String, vec::Vec};

use super::{
    ledger::Ledger,
    step::{CPUS, ITEMS, SOURCES},
};
use crate::{Claim, Class, Doorbell, EdgeModel, HandlerSpec, Limits, Nmi, PlatformDelivery};

/// A tick is a nanosecond.
pub(super) const TICKS_PER_MS: u64 = 1_000_000;
pub(super) const TICKS_PER_US: u64 = 1_000;

const LATE_EDGES: u8 = 2;
const LATE_US: u32 = 1_000;

const fn spec(class: Class, doorbell: Doorbell) -> HandlerSpec<'static> {
    HandlerSpec::new("source", class, doorbell, EdgeModel::PerCondition)
}

/// Which sources there are.
pub(super) const SPECS: [HandlerSpec<'static>; SOURCES] = [
    spec(Class::Local, Doorbell::Local(4)),
    spec(Class::Local, Doorbell::Local(5)),
    HandlerSpec::new(
        "message",
        Class::Local,
        Doorbell::Local(6),
        EdgeModel::PerEvent { late_us: LATE_US, max_late_edges: LATE_EDGES },
    ),
    spec(Class::Platform, Doorbell::Platform(1)),
    spec(Class::Platform, Doorbell::Platform(2)).delivery(PlatformDelivery::Cpus(&[1])),
    spec(Class::Platform, Doorbell::Platform(3)).delivery(PlatformDelivery::Bsp),
];

/// Routes to which a sequence may change that of a Platform source.
pub(super) const ROUTES: [&[usize]; 4] = [&[0, 1, 2], &[0], &[1], &[0, 2]];

/// A ring that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) cpu: usize,
    /// The source whose condition it is for, and which condition; `None` for a send.
    pub(super) of: Option<(usize, usize)>,
    /// By when it has to arrive: its condition was claimed, or its send finished.
    pub(super) due: Option<u64>,
    /// Nothing has to explain it.
    pub(super) is_excused: bool,
}

/// One CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    pub(super) is_online: bool,
    pub(super) ticks: bool,
    /// The interrupt for work is pending.
    pub(super) is_interrupted: bool,
    pub(super) interrupts_off: bool,
    /// How many of the library's calls it is in.
    pub(super) calls: usize,
    /// How many NMIs it is in.
    pub(super) nmis: usize,
    /// It is in an NMI, and these arrived: they are one edge, once that NMI ends.
    pub(super) latched: Vec<Option<Ring>>,
    /// The conditions of the Local sources here, by their numbers.
    conditions: [Option<usize>; SOURCES],
    /// Stops that this CPU has accepted since it came online, and those that it has parked for.
    pub(super) stops: usize,
    /// Stops that are being sent.
    pub(super) stops_under_way: usize,
    pub(super) parked: usize,
    pub(super) accepted: [usize; 6],
    pub(super) served: [usize; 6],
    /// How often it has come online.
    pub(super) life: usize,
    /// A send was under way while it went or came, so nobody knows what it has to serve.
    pub(super) is_unsure: bool,
    /// It executes nothing.
    pub(super) is_dead: bool,
    /// It goes offline.
    pub(super) is_leaving: bool,
    pub(super) storms: isize,
    pub(super) ledger: Ledger,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) cpus: [Cpu; CPUS],
    pub(super) rings: Vec<Ring>,
    /// The conditions of the Platform sources.
    conditions: [Option<usize>; SOURCES],
    numbers: usize,
    pub(super) is_registered: [bool; SOURCES],
    /// May be called: it is registered, or its removal is not over.
    pub(super) is_alive: [bool; SOURCES],
    pub(super) routes: [[bool; CPUS]; SOURCES],
    /// To which CPUs a Platform source rang that is gone: its slot's next owner begins with a route
    /// that leaves them out.
    pub(super) rang_before: [bool; CPUS],
    /// Which CPUs each may ring now: none that a change of its route adds or leaves out.
    pub(super) open: [[bool; CPUS]; SOURCES],
    /// Until when a ring of before may come to each CPU that has left a route.
    pub(super) former: [[u64; CPUS]; SOURCES],
    pub(super) wants_more: [bool; SOURCES],
    pub(super) limits: Limits,
    /// The longest that a claim may explain a ring, so far.
    pub(super) lasts: u64,
    pub(super) fails_ring: bool,
    pub(super) queued: [usize; ITEMS],
    pub(super) ran: [usize; ITEMS],
    pub(super) requeues: [bool; ITEMS],
    /// How many steps are amid others.
    pub(super) nesting: usize,
    pub(super) late_sends: usize,
    /// When each send that is under way began.
    pub(super) sends: Vec<u64>,
    pub(super) at: String,
    pub(super) violated: Option<String>,
}

/// So many claims of one source are there at most while one of them may still ring.
const MOST_CLAIMS: usize = 8;

impl State {
    /// The condition of `source` was claimed on `cpu`: adds what may ring for it to the ledgers of
    /// the CPUs that it may ring.
    fn may_ring(&mut self, source: usize, cpu: usize, now: u64) {
        let rings = match SPECS[source].edges {
            EdgeModel::PerEvent { max_late_edges, .. } => 1 + usize::from(max_late_edges),
            EdgeModel::PerCondition => 1,
        };
        for (on, it) in self.cpus.iter_mut().enumerate() {
            let rings_there = match SPECS[source].class {
                Class::Local => on == cpu,
                _ => self.routes[source][on] || now <= self.former[source][on],
            };
            if rings_there {
                it.ledger.add(rings, now, self.lasts);
            }
        }
    }

    /// The doorbell of `source` rings these CPUs from `now` on.
    pub(super) fn change_route(&mut self, source: usize, route: [bool; CPUS], now: u64) {
        for (cpu, rings) in route.into_iter().enumerate() {
            let rang = self.routes[source][cpu];
            if rang && !rings {
                self.former[source][cpu] = now + self.lasts;
            }
            // It may take a claim of shortly before for one that rings it.
            if !rang && rings {
                self.cpus[cpu].ledger.add(MOST_CLAIMS, now, self.lasts);
            }
        }
        self.routes[source] = route;
        self.open[source] = route;
    }

    pub(super) fn route_of(spec: HandlerSpec<'_>) -> [bool; CPUS] {
        core::array::from_fn(|cpu| match spec.delivery {
            PlatformDelivery::All => true,
            PlatformDelivery::Bsp => cpu == 0,
            PlatformDelivery::Cpus(named) => named.contains(&cpu),
        })
    }
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) cpu: Cell<usize>,
    /// What every clock shows.
    pub(super) shown: Cell<u64>,
    /// For how long the machine has run.
    pub(super) now: Cell<u64>,
    state: RefCell<State>,
    pub(super) nmi: Cell<Option<&'static Nmi<Machine>>>,
}

// SAFETY: one thread plays all CPUs; the static references to it are that thread's.
unsafe impl Sync for Machine {}

pub(super) fn lasts(limits: Limits) -> u64 {
    let late = u64::from(limits.late_us.max(LATE_US));
    (late + u64::from(limits.cap_us) + u64::from(limits.hold_us) + 3_000) * TICKS_PER_US
}

impl Machine {
    pub(super) fn new() -> Self {
        let state = State {
            cpus: Default::default(),
            rings: Vec::new(),
            conditions: [None; SOURCES],
            numbers: 0,
            is_registered: [false; SOURCES],
            is_alive: [false; SOURCES],
            routes: SPECS.map(State::route_of),
            rang_before: [false; CPUS],
            open: SPECS.map(State::route_of),
            former: [[0; CPUS]; SOURCES],
            wants_more: [false; SOURCES],
            limits: Limits::BARE_METAL,
            lasts: lasts(Limits::BARE_METAL),
            fails_ring: false,
            queued: [0; ITEMS],
            ran: [0; ITEMS],
            requeues: [false; ITEMS],
            nesting: 0,
            late_sends: 0,
            sends: Vec::new(),
            at: String::new(),
            violated: None,
        };
        Self {
            cpu: Cell::new(0),
            shown: Cell::new(5_000_000),
            now: Cell::new(1),
            state: RefCell::new(state),
            nmi: Cell::new(None),
        }
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.borrow_mut())
    }

    /// Notes the first violation, but for those that are [known](super::is_known).
    pub(super) fn violated(&self, what: String) {
        if super::is_known(&what) {
            return;
        }
        let us = self.now.get() / TICKS_PER_US;
        self.with(|state| {
            if state.violated.is_none() {
                state.violated = Some(format!("{what} ({} at {us} us)", state.at));
            }
        });
    }

    /// Another CPU acts while this one is parked.
    pub(super) fn as_other(&self, other: usize, act: impl FnOnce()) {
        let (parked, now) = (self.cpu.replace(other), self.now.get());
        self.with(|state| {
            state.nesting += 1;
            state.cpus[other].calls += 1;
            state.cpus[other].ledger.begin(now);
        });
        act();
        let stats = self.nmi.get().and_then(|nmi| nmi.cpu_stats(other)).unwrap_or_default();
        let said = self.with(|state| {
            state.nesting -= 1;
            state.cpus[other].calls -= 1;
            state.cpus[other].ledger.end(stats)
        });
        if let Err(what) = said {
            self.violated(format!("CPU {other}: {what}"));
        }
        self.cpu.set(parked);
    }

    /// What is done now, for a violation.
    pub(super) fn set_at(&self, at: String) {
        self.with(|state| state.at = at);
    }

    pub(super) fn pass_ticks(&self, ticks: u64) {
        self.now.set(self.now.get() + ticks);
        self.shown.set(self.shown.get().wrapping_add(ticks));
    }

    pub(super) fn late_ticks(state: &State, source: Option<usize>) -> u64 {
        let late = match source.map(|source| SPECS[source].edges) {
            Some(EdgeModel::PerEvent { late_us, .. }) => late_us.max(state.limits.late_us),
            _ => state.limits.late_us,
        };
        u64::from(late) * TICKS_PER_US - 5 * TICKS_PER_US
    }

    /// Sets the condition, and rings `cpu` for it.
    pub(super) fn raise(&self, source: usize, cpu: usize) {
        self.with(|state| {
            state.numbers += 1;
            let number = state.numbers;
            let place = match SPECS[source].class {
                Class::Local => &mut state.cpus[cpu].conditions[source],
                _ => &mut state.conditions[source],
            };
            if place.is_some() || SPECS[source].class != Class::Local && !state.open[source][cpu] {
                return;
            }
            *place = Some(number);
            let of = Some((source, number));
            state.rings.push(Ring { cpu, of, due: None, is_excused: false });
        });
    }

    /// Consumes the condition, if it is set: adds what may ring for it to the ledgers of the CPUs
    /// that it may ring.
    pub(super) fn claim(&self, source: usize, cpu: usize) -> Claim {
        let now = self.now.get();
        self.with(|state| {
            let is_local = SPECS[source].class == Class::Local;
            let place = match is_local {
                true => &mut state.cpus[cpu].conditions[source],
                false => &mut state.conditions[source],
            };
            let Some(number) = *place else {
                return Claim::None;
            };
            let wants_more = core::mem::take(&mut state.wants_more[source]);
            if !wants_more {
                *place = None;
            }
            let due = now + Self::late_ticks(state, Some(source));
            for ring in state.rings.iter_mut().filter(|ring| ring.of == Some((source, number))) {
                ring.due = Some(ring.due.unwrap_or(due).min(due));
            }
            state.may_ring(source, cpu, now);
            if wants_more { Claim::More } else { Claim::Handled }
        })
    }

    /// The condition is about to be claimed outside an NMI.
    pub(super) fn may_ring(&self, source: usize, cpu: usize) {
        let now = self.now.get();
        self.with(|state| state.may_ring(source, cpu, now));
    }

    pub(super) fn is_set(&self, source: usize, cpu: usize) -> bool {
        self.with(|state| match SPECS[source].class {
            Class::Local => state.cpus[cpu].conditions[source].is_some(),
            _ => state.conditions[source].is_some(),
        })
    }

    /// Forgets the Local conditions of a CPU that is offline, and a Platform condition whose ring
    /// went there: nobody has to find it.
    pub(super) fn forget(&self, ring: Ring) {
        self.with(|state| {
            let Some((source, number)) = ring.of else {
                return;
            };
            let place = match SPECS[source].class {
                Class::Local => &mut state.cpus[ring.cpu].conditions[source],
                _ => &mut state.conditions[source],
            };
            if *place == Some(number) {
                *place = None;
            }
        });
    }

    /// The handler of `source` goes, and its device is silenced: the rings of conditions that it
    /// leaves are true unknowns.
    pub(super) fn abandon(&self, source: usize) {
        self.with(|state| {
            let is_left = state.conditions[source].take().is_some();
            for it in &mut state.cpus {
                let left = it.conditions[source].take().is_some() || is_left;
                it.ledger.true_unknowns += usize::from(left);
            }
        });
    }

    pub(super) fn forget_local_conditions(&self, cpu: usize) {
        self.with(|state| state.cpus[cpu].conditions = [None; SOURCES]);
    }

    /// Whether the condition for which it rang is set.
    pub(super) fn is_condition_set(&self, ring: Ring) -> bool {
        self.with(|state| {
            ring.of.is_some_and(|(source, number)| {
                let place = match SPECS[source].class {
                    Class::Local => state.cpus[ring.cpu].conditions[source],
                    _ => state.conditions[source],
                };
                place == Some(number)
            })
        })
    }

    /// What is not as it should be at the end, when everything has come to rest.
    pub(super) fn check_storms(&self) {
        let storms =
            self.with(|state| core::array::from_fn::<_, CPUS, _>(|cpu| state.cpus[cpu].storms));
        if storms != [0; CPUS] {
            self.violated(format!("storms without an end, or ends without: {storms:?}"));
        }
    }
}
