// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of the simulated machine: what the core's atomics do here.
//!
//! Each access is a choice point and then one indivisible step. A fence is a choice point only if
//! it has something to do, which is to drain the store buffer. The use of a cell that belongs to
//! one context at a time is no choice point: the protocol that makes it so keeps other contexts
//! away.
//!
//! Accesses in events, when no CPU runs, go to memory at once: devices have no store buffer.

use std::{cell::Cell, fmt, hash::Hasher};

use latchwork::simulation::{Memory, Ordering, Update, Value, Word};

use super::{
    cpu::Cpu,
    fingerprint::{Fingerprint, scramble},
    runtime::Engine,
    sharing::NO_CPU,
    touches::Touches,
};

/// What kind of access it was, for histories.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Load = 1,
    Store = 2,
    Update = 3,
    Cell = 4,
    Hardware = 5,
}

/// What a CPU's history takes in of an access.
#[inline]
pub(super) fn seen(kind: Kind, address: usize, value: u64) -> u64 {
    scramble((address as u64) ^ (kind as u64) << 56).wrapping_add(value)
}

#[inline]
fn address(word: &Word) -> usize {
    std::ptr::from_ref(word).addr()
}

impl Engine {
    /// What is at this address changes from one value to another.
    fn account(&self, address: usize, old: u64, new: u64) {
        let place = scramble(address as u64);
        self.memory.set(self.memory.get() ^ scramble(place ^ old) ^ scramble(place ^ new));
        self.changed();
    }

    /// Writes to memory. Says whether that changed anything.
    #[inline]
    fn write(&self, word: &Word, value: Value) -> bool {
        let old = word.get();
        if old == value {
            return false;
        }
        word.set(value);
        self.account(address(word), old.addr() as u64, value.addr() as u64);
        true
    }

    /// The oldest store of this CPU goes to memory.
    pub(super) fn drain_one(&self, cpu: &Cpu) {
        let Some(store) = cpu.buffer.pop() else { return };
        // SAFETY: the word lies in the world, which outlives the execution, and buffers are emptied
        // before the next one begins.
        let word = unsafe { store.word.as_ref() };
        self.write(word, store.value);
        self.recorder.access(self.point.get(), cpu.id, || {
            format!("drains {} = {:#x}", self.name(word), store.value.addr())
        });
    }

    /// All stores of this CPU go to memory.
    pub(super) fn drain(&self, cpu: &Cpu) {
        while !cpu.buffer.is_empty() {
            self.drain_one(cpu);
        }
    }

    /// The choice point before an instruction that drains the store buffer, and the draining.
    pub(super) fn full_fence(&self, cpu: &'static Cpu) {
        if !cpu.buffer.is_empty() {
            self.choice_point(cpu);
            self.does(Touches::SHARED);
            self.drain(cpu);
            cpu.saw(FENCE, false);
        }
    }

    fn name(&self, word: &Word) -> String {
        self.world().name_of(address(word))
    }

    fn stored(&self, cpu: &Cpu, word: &Word, value: Value, changed: bool) {
        cpu.saw(seen(Kind::Store, address(word), value.addr() as u64), changed);
        self.recorder.access(self.point.get(), cpu.id, || {
            format!("stores {} = {:#x}", self.name(word), value.addr())
        });
    }

    /// What `cpu` touches by using the word at this address. Where a search repeats a former
    /// execution, it knows already who uses the word.
    #[inline]
    fn touched(&self, cpu: &Cpu, address: usize, writes: bool) -> Touches {
        let private = self.checks.get() && !self.sharing.is_shared(address, cpu.id, writes);
        if private { Touches::OWN } else { Touches::SHARED }
    }

    /// An event, or code outside an execution, uses a word.
    fn touched_by_an_event(&self, word: &Word, writes: bool) {
        if self.fires.get() {
            self.sharing.is_shared(address(word), NO_CPU, writes);
        }
    }

    fn loaded(&self, cpu: &Cpu, word: &Word, value: Value) -> Value {
        cpu.saw(seen(Kind::Load, address(word), value.addr() as u64), false);
        self.recorder.access(self.point.get(), cpu.id, || {
            format!("loads {}: {:#x}", self.name(word), value.addr())
        });
        value
    }

    fn make_update(&self, word: &Word, update: Update) -> (Value, bool) {
        let old = word.get();
        (old, self.write(word, update.apply(old)))
    }

    /// A locked instruction, and the choice point before it.
    fn locked(&self, cpu: &'static Cpu, word: &Word, update: Update, own: bool) -> Value {
        self.choice_point(cpu);
        let touches = if own { Touches::OWN } else { self.touched(cpu, address(word), true) };
        self.does(if cpu.buffer.is_empty() { touches } else { Touches::SHARED });
        self.drain(cpu);
        let (old, changed) = self.make_update(word, update);
        let passed = scramble(old.addr() as u64) ^ word.get().addr() as u64;
        cpu.saw(seen(Kind::Update, address(word), passed), changed);
        self.recorder.access(self.point.get(), cpu.id, || {
            let (old, new) = (old.addr(), word.get().addr());
            format!("updates {}: {old:#x} = {new:#x}", self.name(word))
        });
        old
    }
}

impl Memory for Engine {
    fn load(&self, word: &Word, _: Ordering) -> Value {
        let Some(cpu) = self.current() else {
            self.touched_by_an_event(word, false);
            return word.get();
        };
        self.choice_point(cpu);
        self.does(self.touched(cpu, address(word), false));
        let value = match self.store_buffer.get() {
            0 => word.get(),
            _ => cpu.buffer.youngest(word).unwrap_or_else(|| word.get()),
        };
        self.loaded(cpu, word, value)
    }

    fn load_own(&self, word: &Word) -> Value {
        let Some(cpu) = self.current() else { return word.get() };
        self.choice_point(cpu);
        self.does(Touches::OWN);
        self.loaded(cpu, word, word.get())
    }

    fn store(&self, word: &Word, value: Value, order: Ordering) {
        let Some(cpu) = self.current() else {
            self.touched_by_an_event(word, true);
            self.write(word, value);
            return;
        };
        if order == Ordering::SeqCst {
            self.update(word, Update::Swap(value));
            return;
        }
        self.choice_point(cpu);
        let touched = self.touched(cpu, address(word), true);
        self.does(if self.store_buffer.get() == 0 { touched } else { Touches::SHARED });
        let changed = match self.store_buffer.get() {
            0 => self.write(word, value),
            capacity => {
                // It would reach memory when something else may lie there.
                let on_stack = cpu.suspension.has_on_stack(address(word));
                assert!(!on_stack, "a simulated word on a CPU's stack, with a store buffer");
                if cpu.buffer.len() >= capacity {
                    self.drain_one(cpu);
                }
                cpu.buffer.push(word, value);
                false
            }
        };
        self.stored(cpu, word, value, changed);
    }

    fn store_own(&self, word: &Word, value: Value) {
        if let Some(cpu) = self.current() {
            self.choice_point(cpu);
            self.does(Touches::OWN);
            let changed = self.write(word, value);
            self.stored(cpu, word, value, changed);
        } else {
            self.write(word, value);
        }
    }

    fn update(&self, word: &Word, update: Update) -> Value {
        let Some(cpu) = self.current() else {
            self.touched_by_an_event(word, true);
            return self.make_update(word, update).0;
        };
        self.locked(cpu, word, update, false)
    }

    fn update_own(&self, word: &Word, update: Update) -> Value {
        match self.current() {
            Some(cpu) => self.locked(cpu, word, update, true),
            None => self.make_update(word, update).0,
        }
    }

    fn fence(&self, order: Ordering) {
        if let (Ordering::SeqCst, Some(cpu)) = (order, self.current()) {
            self.full_fence(cpu);
        }
    }

    fn cell_used(&self, address: usize, shown: &Cell<u64>, content: &dyn fmt::Debug) {
        let mut print = Printed(Fingerprint::new());
        // Writing into a fingerprint does not fail. Content whose formatting fails counts as far as
        // it was formatted.
        let _ = fmt::write(&mut print, format_args!("{content:?}"));
        let print = print.0.value();
        let before = shown.replace(print);
        let changed = before != print;
        if changed {
            self.account(address, before, print);
        }
        if let Some(cpu) = self.current() {
            self.does(self.touched(cpu, address, true));
            cpu.learned(seen(Kind::Cell, address, scramble(before).wrapping_add(print)));
        }
    }
}

/// Hashes what is written.
struct Printed(Fingerprint);

impl fmt::Write for Printed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

const FENCE: u64 = 0x6665_6e63_6500;
