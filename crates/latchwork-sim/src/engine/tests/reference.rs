// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random small programs, run by the engine and by a reference that shares nothing with it: states
//! as values, steps as functions, all orders by recursion. Both must reach the same endings.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashSet, VecDeque},
};

use fastrand::Rng;
use latchwork::simulation::{Ordering, fence};

use super::toy::{Plan, Toy, toys};
use crate::engine::{Bounds, Verdict, search::exhaustive::exhaust_with};

const WORDS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// The register takes in a word.
    Load(usize),
    /// A word gets a constant and the register.
    Store(usize, usize),
    /// A locked addition; the register takes in what was there.
    Add(usize, usize),
    /// The register takes in this CPU's own word.
    LoadOwn,
    /// This CPU's own word gets a constant and the register.
    StoreOwn(usize),
    /// A locked addition to it.
    AddOwn(usize),
    Fence,
    /// Leaves the next one out if the register is odd.
    SkipIfOdd,
}

/// The programs of CPU 0, of CPU 1, and of CPU 0's one NMI.
type Programs = [Vec<Op>; 3];

fn draw(random: &mut Rng) -> Programs {
    let mut program = |length: usize| {
        let op = |random: &mut Rng| match random.usize(0..13) {
            0..3 => Op::Load(random.usize(0..WORDS)),
            3..6 => Op::Store(random.usize(0..WORDS), random.usize(1..4)),
            6 => Op::Add(random.usize(0..WORDS), random.usize(1..4)),
            7 => Op::Fence,
            8..10 => Op::LoadOwn,
            10 => Op::StoreOwn(random.usize(1..4)),
            11 => Op::AddOwn(random.usize(1..4)),
            _ => Op::SkipIfOdd,
        };
        (0..random.usize(1..=length)).map(|_| op(random)).collect()
    };
    [program(6), program(6), program(4)]
}

fn taken_in(register: usize, value: usize) -> usize {
    (register * 5 + value + 1) % 97
}

/// Memory, the CPUs' own words and their registers at the end.
type Ending = [usize; WORDS + 4];

mod by_engine {
    use super::*;

    thread_local! {
        static PROGRAMS: RefCell<Programs> = const { RefCell::new([const { Vec::new() }; 3]) };
        static ENDING: Cell<Ending> = const { Cell::new([0; WORDS + 4]) };
    }

    fn run(toy: &Toy, program: usize, register: &Cell<usize>) {
        let op_at = |at: usize| PROGRAMS.with_borrow(|programs| programs[program].get(at).copied());
        let mut at = 0;
        while let Some(op) = op_at(at) {
            match op {
                Op::Load(word) => register.set(taken_in(register.get(), toy.load(word))),
                Op::Store(word, value) => toy.store(word, value + register.get()),
                Op::Add(word, value) => {
                    let old = toy.words[word].fetch_add(value, Ordering::Relaxed);
                    register.set(taken_in(register.get(), old));
                }
                Op::LoadOwn => {
                    let value = toy.own().load(Ordering::Relaxed);
                    register.set(taken_in(register.get(), value));
                }
                Op::StoreOwn(value) => toy.own().store(value + register.get(), Ordering::Relaxed),
                Op::AddOwn(value) => {
                    let old = toy.own().fetch_add(value, Ordering::Relaxed);
                    register.set(taken_in(register.get(), old));
                }
                Op::Fence => fence(Ordering::SeqCst),
                Op::SkipIfOdd => at += register.get() % 2,
            }
            at += 1;
        }
    }

    fn script(toy: &Toy, cpu: usize) {
        let register = Cell::new(0);
        run(toy, cpu, &register);
        toy.say(register.get());
    }

    pub(super) fn endings(programs: &Programs, bounds: &Bounds) -> BTreeSet<Ending> {
        PROGRAMS.set(programs.clone());
        let plan = Plan {
            scripts: &[|toy| script(toy, 0), |toy| script(toy, 1)],
            handler: |toy| run(toy, 2, &Cell::new(0)),
            edges: 1,
            judge: |toy| {
                let memory = [toy.load(0), toy.load(1), toy.load(2)];
                let [a, b, c] = memory;
                let [d, e] = [0, 1].map(|cpu| toy.own[cpu].load(Ordering::Relaxed));
                let ending = [a, b, c, d, e, toy.said[0].get(), toy.said[1].get()];
                ENDING.set(ending);
                None
            },
        };
        let mut endings = BTreeSet::new();
        let report = exhaust_with(bounds, &mut toys(plan), &mut |_| {
            endings.insert(ENDING.get());
        });
        assert_eq!(report.verdict, Verdict::Held);
        endings
    }
}

mod by_reference {
    use super::*;

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Thread {
        at: usize,
        register: usize,
    }

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct State {
        memory: [usize; WORDS],
        own: [usize; 2],
        cpus: [Thread; 2],
        buffers: [VecDeque<(usize, usize)>; 2],
        handler: Option<Thread>,
        edge_to_come: bool,
        latched: bool,
    }

    pub(super) fn endings(programs: &Programs, buffered: bool) -> BTreeSet<Ending> {
        let thread = Thread { at: 0, register: 0 };
        let first = State {
            memory: [0; WORDS],
            own: [0; 2],
            cpus: [thread.clone(), thread],
            buffers: Default::default(),
            handler: None,
            edge_to_come: true,
            latched: false,
        };
        let mut endings = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut to_do = vec![first];
        while let Some(state) = to_do.pop() {
            if !seen.insert(state.clone()) {
                continue;
            }
            let before = to_do.len();
            to_do.extend(state.successors(programs, buffered));
            if to_do.len() == before {
                let [a, b, c] = state.memory;
                let [d, e] = state.own;
                let [first, second] = state.cpus;
                endings.insert([a, b, c, d, e, first.register, second.register]);
            }
        }
        endings
    }

    impl State {
        fn successors(&self, programs: &Programs, buffered: bool) -> Vec<Self> {
            let mut successors = Vec::new();
            if self.edge_to_come {
                successors.push(Self { edge_to_come: false, latched: true, ..self.clone() });
            }
            for cpu in 0..2 {
                if !self.buffers[cpu].is_empty() {
                    let mut next = self.clone();
                    next.drain_one(cpu);
                    successors.push(next);
                }
                successors.extend(self.step(cpu, programs, buffered));
            }
            successors
        }

        fn drain_one(&mut self, cpu: usize) {
            if let Some((word, value)) = self.buffers[cpu].pop_front() {
                self.memory[word] = value;
            }
        }

        fn drain(&mut self, cpu: usize) {
            while !self.buffers[cpu].is_empty() {
                self.drain_one(cpu);
            }
        }

        fn step(&self, cpu: usize, programs: &Programs, buffered: bool) -> Option<Self> {
            let mut next = self.clone();
            if cpu == 0 && self.latched && self.handler.is_none() {
                next.latched = false;
                next.drain(0);
                next.handler = Some(Thread { at: 0, register: 0 });
                return Some(next);
            }
            let in_handler = cpu == 0 && self.handler.is_some();
            let program = if in_handler { &programs[2] } else { &programs[cpu] };
            let mut thread = match &self.handler {
                Some(handler) if cpu == 0 => handler.clone(),
                _ => self.cpus[cpu].clone(),
            };
            let op = program.get(thread.at);
            if op.is_none() && !in_handler {
                return None;
            }
            thread.at += 1;
            match op.copied() {
                Some(Op::Load(word)) => {
                    let own = next.buffers[cpu].iter().rev().find(|(to, _)| *to == word);
                    let value = own.map_or(next.memory[word], |(_, value)| *value);
                    thread.register = taken_in(thread.register, value);
                }
                Some(Op::Store(word, value)) => {
                    next.buffers[cpu].push_back((word, value + thread.register));
                    if !buffered {
                        next.drain(cpu);
                    }
                }
                Some(Op::Add(word, value)) => {
                    next.drain(cpu);
                    thread.register = taken_in(thread.register, next.memory[word]);
                    next.memory[word] += value;
                }
                Some(Op::LoadOwn) => thread.register = taken_in(thread.register, next.own[cpu]),
                Some(Op::StoreOwn(value)) => next.own[cpu] = value + thread.register,
                Some(Op::AddOwn(value)) => {
                    next.drain(cpu);
                    thread.register = taken_in(thread.register, next.own[cpu]);
                    next.own[cpu] += value;
                }
                Some(Op::Fence) => next.drain(cpu),
                Some(Op::SkipIfOdd) => thread.at += thread.register % 2,
                None => (),
            }
            if !in_handler {
                next.cpus[cpu] = thread;
            } else if op.is_some() {
                next.handler = Some(thread);
            } else {
                next.drain(0);
                next.handler = None;
            }
            Some(next)
        }
    }
}

#[test]
fn the_engine_reaches_what_the_reference_reaches() {
    let mut random = Rng::with_seed(7);
    let mut most = 0;
    for round in 0..600 {
        let programs = draw(&mut random);
        let store_buffer = if round % 2 == 0 { 0 } else { 8 };
        let bounds = Bounds { preemptions: u8::MAX, store_buffer, ..Bounds::default() };
        let reached = by_engine::endings(&programs, &bounds);
        let reference = by_reference::endings(&programs, store_buffer != 0);
        assert_eq!(reached, reference, "{store_buffer}: {programs:?}");
        for preemptions in 0..=2 {
            let [reduced, whole] = [true, false].map(|reduce| {
                by_engine::endings(&programs, &Bounds { preemptions, reduce, ..bounds })
            });
            assert_eq!(reduced, whole, "{preemptions}, {store_buffer}: {programs:?}");
        }
        most = most.max(reached.len());
    }
    assert!(most > 50, "{most}");
}
