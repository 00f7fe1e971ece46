// SPDX-License-Identifier: MIT OR Apache-2.0
//! A register-level model of an HPET, written from the IA-PC HPET Specification 1.0a (section
//! numbers are its). All numbers are literals of its own.
//!
//! What the specification forbids, panics. Time passes with every access.

use std::cell::{Cell, RefCell};

use latchwork_x86::hpet::{Hpet, HpetError};
use latchwork_x86::hw::Mmio;

/// What a write to the comparator of a periodic timer means while Tn_VAL_SET_CNF is set (section
/// 2.3.8): the specification says that it "directly sets the accumulator" and is silent on the
/// period, so chipsets differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chipset {
    AccumulatorOnly,
    AccumulatorAndPeriod,
}

/// What an output did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    /// The line to an I/O APIC pin became active.
    Pin(u32),
    /// A message was written: address and data.
    Message(u32, u32),
}

#[derive(Clone, Copy)]
struct Timer {
    configuration: u32,
    pins: u32,
    comparator: u64,
    period: u64,
    message_data: u32,
    message_address: u32,
}

pub(crate) struct HpetModel {
    chipset: Chipset,
    period_fs: u32,
    capabilities: u32,
    configuration: Cell<u32>,
    status: Cell<u32>,
    counter: Cell<u64>,
    timers: RefCell<Vec<Timer>>,
    /// How many ticks an access takes.
    ticks_per_access: Cell<u64>,
    accesses: Cell<u64>,
    rings: RefCell<Vec<(u64, Ring)>>,
    writes: Cell<u64>,
    /// Pins that a timer claims to reach, but does not.
    broken_pins: Cell<u32>,
    /// The status bit of a timer that is not level-triggered shows that it has fired. Section 2.3.6
    /// only says that software is to ignore it then.
    shows_edges: bool,
}

impl HpetModel {
    /// Three timers, the first one periodic, the last one with messages; legacy replacement; a
    /// 64-bit counter at 0 that is halted. Reserved bits are set, so that a driver that drops them
    /// is seen.
    pub(crate) fn new(chipset: Chipset) -> Self {
        let timer = |configuration, pins| Timer {
            configuration,
            pins,
            comparator: 0xFFFF_FFFF_FFFF_FFFF,
            period: 0,
            message_data: 0,
            message_address: 0,
        };
        Self {
            chipset,
            period_fs: 69_841_279,
            capabilities: 0x8086_A201,
            configuration: Cell::new(0xC000_0000),
            status: Cell::new(0),
            counter: Cell::new(0),
            timers: RefCell::new(vec![
                timer(0x0001_0030, 0x00F0_0004),
                timer(0x0001_0000, 0x00F0_0100),
                timer(0x0001_8020, 0x00F0_0800),
            ]),
            ticks_per_access: Cell::new(1),
            accesses: Cell::new(0),
            rings: RefCell::default(),
            writes: Cell::new(0),
            broken_pins: Cell::new(0),
            shows_edges: false,
        }
    }

    pub(crate) fn with_status_of_edges(mut self) -> Self {
        self.shows_edges = true;
        self
    }

    pub(crate) fn with_32_bit_counter(mut self) -> Self {
        self.capabilities -= 0x2000;
        self
    }

    pub(crate) fn without_legacy_replacement(mut self) -> Self {
        self.capabilities -= 0x8000;
        self
    }

    pub(crate) fn break_pins(&self, pins: u32) {
        self.broken_pins.set(pins);
    }

    pub(crate) fn at(self, counter: u64) -> Self {
        self.counter.set(counter);
        self
    }

    pub(crate) fn set_ticks_per_access(&self, ticks: u64) {
        self.ticks_per_access.set(ticks);
    }

    pub(crate) fn counter(&self) -> u64 {
        self.counter.get()
    }

    pub(crate) fn accesses(&self) -> u64 {
        self.accesses.get()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.get()
    }

    pub(crate) fn configuration(&self) -> u32 {
        self.configuration.get()
    }

    pub(crate) fn timer_configuration(&self, timer: usize) -> u32 {
        self.timers.borrow()[timer].configuration
    }

    pub(crate) fn rings(&self) -> Vec<Ring> {
        self.rings.borrow().iter().map(|(_, ring)| *ring).collect()
    }

    /// At which counts the rings came.
    pub(crate) fn ring_times(&self) -> Vec<u64> {
        self.rings.borrow().iter().map(|(at, _)| *at).collect()
    }

    fn is_on(&self) -> bool {
        self.configuration.get() & 1 != 0
    }

    fn wrap(&self) -> u64 {
        if self.capabilities & 0x2000 != 0 { u64::MAX } else { 0xFFFF_FFFF }
    }

    /// Lets time pass. A timer fires when the counter equals its comparator, in 32-bit mode when
    /// the lower halves are equal (sections 2.3.9 and 2.4.3).
    pub(crate) fn pass(&self, ticks: u64) {
        if !self.is_on() {
            return;
        }
        let timers = self.timers.borrow().len();
        let mut left = ticks;
        while left > 0 {
            let next =
                (0..timers).map(|timer| self.distance(timer)).min().unwrap_or(u64::MAX).min(left);
            self.counter.set(self.counter.get().wrapping_add(next) & self.wrap());
            left -= next;
            for timer in 0..timers {
                if self.comparand(timer, self.counter.get())
                    == self.comparand(timer, self.timers.borrow()[timer].comparator)
                {
                    self.fire(timer);
                }
            }
        }
    }

    fn comparand(&self, timer: usize, value: u64) -> u64 {
        let configuration = self.timers.borrow()[timer].configuration;
        let is_32_bit =
            configuration & 0x100 != 0 || configuration & 0x20 == 0 || self.wrap() != u64::MAX;
        if is_32_bit { value & 0xFFFF_FFFF } else { value }
    }

    /// How many ticks until `timer` fires, at least 1.
    fn distance(&self, timer: usize) -> u64 {
        let comparator = self.timers.borrow()[timer].comparator;
        let distance = self.comparand(timer, comparator.wrapping_sub(self.counter.get()));
        if distance == 0 { self.comparand(timer, u64::MAX) } else { distance }
    }

    fn fire(&self, number: usize) {
        let timer = self.timers.borrow()[number];
        if self.shows_edges && timer.configuration & 2 == 0 {
            self.status.set(self.status.get() | 1 << number);
        }
        if timer.configuration & 8 != 0 {
            let next = timer.comparator.wrapping_add(timer.period);
            self.timers.borrow_mut()[number].comparator = next;
        }
        let is_enabled = timer.configuration & 4 != 0;
        if timer.configuration & 0x4000 != 0 {
            if is_enabled {
                self.ring(Ring::Message(timer.message_address, timer.message_data));
            }
        } else if timer.configuration & 2 != 0 {
            // "If the timer is set for level-triggered", the status is set when it fires, enabled
            // or not; the line is active while both are (sections 2.3.6 and 2.3.8).
            let was_active = self.is_active(number);
            self.status.set(self.status.get() | 1 << number);
            self.ring_if_newly_active(number, was_active);
        } else if is_enabled {
            self.ring(Ring::Pin(self.pin(number)));
        }
    }

    fn is_active(&self, number: usize) -> bool {
        let enabled = self.timers.borrow()[number].configuration & 6 == 6;
        self.is_on() && enabled && self.status.get() & (1 << number) != 0
    }

    fn ring_if_newly_active(&self, number: usize, was_active: bool) {
        if !was_active && self.is_active(number) {
            self.ring(Ring::Pin(self.pin(number)));
        }
    }

    fn ring(&self, ring: Ring) {
        self.rings.borrow_mut().push((self.counter.get(), ring));
    }

    /// Section 2.4.2.1, "LegacyReplacement Option": IRQ2 for timer 0, IRQ8 for timer 1.
    fn pin(&self, number: usize) -> u32 {
        match (self.configuration.get() & 2 != 0, number) {
            (true, 0) => 2,
            (true, 1) => 8,
            _ => self.timers.borrow()[number].configuration / 0x200 % 32,
        }
    }

    fn configure(&self, number: usize, value: u32) {
        let was_active = self.is_active(number);
        let old = self.timers.borrow()[number];
        assert_eq!(value & 0xFFFF_0001, old.configuration & 0xFFFF_0001, "reserved bits");
        assert!(value & 0x40 == 0 || value & 8 != 0, "VAL_SET without periodic mode");
        assert!(value & 8 == 0 || old.configuration & 0x10 != 0, "timer cannot be periodic");
        assert!(value & 0x4000 == 0 || old.configuration & 0x8000 != 0, "timer has no messages");
        let mut new = (value & 0x7F4E) | (old.configuration & 0xFFFF_8031);
        // "If the value is not supported by this particular timer, then the value read back will
        // not match what is written. The software must only write valid values."
        let pin = value / 0x200 % 32;
        let is_same_pin = (value ^ old.configuration) & 0x3E00 == 0;
        assert!(is_same_pin || old.pins >> pin & 1 != 0, "timer {number} cannot reach pin {pin}");
        if self.broken_pins.get() >> pin & 1 != 0 {
            new = (new & !0x3E00) | (old.configuration & 0x3E00);
        }
        self.timers.borrow_mut()[number].configuration = new;
        self.ring_if_newly_active(number, was_active);
    }

    fn compare_with(&self, number: usize, value: u32, is_high: bool) {
        let mut timers = self.timers.borrow_mut();
        let timer = &mut timers[number];
        let put = |field: &mut u64| {
            *field = if is_high {
                *field & 0xFFFF_FFFF | u64::from(value) << 32
            } else {
                *field & 0xFFFF_FFFF_0000_0000 | u64::from(value)
            }
        };
        let periodic = timer.configuration & 8 != 0;
        let accumulator = timer.configuration & 0x40 != 0;
        if !periodic || accumulator {
            put(&mut timer.comparator);
        }
        if periodic && (!accumulator || self.chipset == Chipset::AccumulatorAndPeriod) {
            put(&mut timer.period);
        }
        // "This bit is automatically cleared."
        timer.configuration &= !0x40;
    }

    fn step(&self) {
        self.accesses.set(self.accesses.get() + 1);
        self.pass(self.ticks_per_access.get());
    }

    fn timer_at(&self, offset: usize) -> (usize, usize) {
        let number = (offset - 0x100) / 0x20;
        assert!(number < self.timers.borrow().len(), "no timer at {offset:#x}");
        (number, offset % 0x20)
    }
}

impl Mmio for &HpetModel {
    unsafe fn read(&self, offset: usize) -> u32 {
        self.step();
        let counter = self.counter.get();
        match offset {
            0x000 => self.capabilities,
            0x004 => self.period_fs,
            0x010 => self.configuration.get(),
            0x020 => self.status.get(),
            0x0F0 => (counter % 0x1_0000_0000) as u32,
            0x0F4 => (counter / 0x1_0000_0000) as u32,
            0x100..0x400 => {
                let (number, register) = self.timer_at(offset);
                let timer = self.timers.borrow()[number];
                match register {
                    0x00 => timer.configuration,
                    0x04 => timer.pins,
                    0x08 => (timer.comparator % 0x1_0000_0000) as u32,
                    _ => panic!("read of {offset:#x}"),
                }
            }
            _ => panic!("read of reserved offset {offset:#x}"),
        }
    }

    unsafe fn write(&self, offset: usize, value: u32) {
        self.step();
        self.writes.set(self.writes.get() + 1);
        match offset {
            0x010 => {
                let old = self.configuration.get();
                assert_eq!(value & !3, old & !3, "reserved bits in {value:#x}");
                assert!(value & 2 == 0 || self.capabilities & 0x8000 != 0, "no legacy replacement");
                let active: Vec<_> =
                    (0..self.timers.borrow().len()).map(|number| self.is_active(number)).collect();
                self.configuration.set(value);
                // "No interrupts will be caused by any of these timers" while bit 0 is 0 (section
                // 2.3.5), so a line that was active becomes so anew with it.
                for (number, was_active) in active.into_iter().enumerate() {
                    self.ring_if_newly_active(number, was_active);
                }
            }
            0x020 => {
                for number in 0..32 {
                    if value & (1 << number) != 0 {
                        let is_level = self.timers.borrow()[number].configuration & 2 != 0;
                        assert!(
                            is_level,
                            "1 written to the status of edge-triggered timer {number}"
                        );
                    }
                }
                self.status.set(self.status.get() & !value);
            }
            0x0F0 | 0x0F4 => {
                assert!(!self.is_on(), "counter written while it runs");
                let counter = self.counter.get();
                self.counter.set(if offset == 0x0F0 {
                    counter / 0x1_0000_0000 * 0x1_0000_0000 + u64::from(value)
                } else {
                    assert_eq!(self.wrap(), u64::MAX, "upper half of a 32-bit counter written");
                    u64::from(value) * 0x1_0000_0000 + counter % 0x1_0000_0000
                });
            }
            0x100..0x400 => {
                let (number, register) = self.timer_at(offset);
                match register {
                    0x00 => self.configure(number, value),
                    0x08 => self.compare_with(number, value, false),
                    0x0C => self.compare_with(number, value, true),
                    0x10 => self.timers.borrow_mut()[number].message_data = value,
                    0x14 => self.timers.borrow_mut()[number].message_address = value,
                    _ => panic!("write to {offset:#x}"),
                }
            }
            _ => panic!("write to reserved offset {offset:#x}"),
        }
    }
}

pub(crate) fn driver(model: &HpetModel) -> Hpet<&HpetModel> {
    // SAFETY: the model stands for an HPET that nobody else uses.
    unsafe { Hpet::new(model) }.unwrap()
}

/// Registers that give one value and take any.
pub(crate) struct Anything(pub(crate) u32, pub(crate) u32);

impl Mmio for Anything {
    unsafe fn read(&self, offset: usize) -> u32 {
        assert!(offset < 0x400 && offset % 4 == 0, "outside the register block: {offset:#x}");
        if offset == 4 { self.1 } else { self.0 }
    }

    unsafe fn write(&self, offset: usize, _: u32) {
        assert!(offset < 0x400 && offset % 4 == 0, "outside the register block: {offset:#x}");
    }
}

pub(crate) fn anything(value: u32, period_fs: u32) -> Result<Hpet<Anything>, HpetError> {
    // SAFETY: nothing is behind it.
    unsafe { Hpet::new(Anything(value, period_fs)) }
}
