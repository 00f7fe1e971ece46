// SPDX-License-Identifier: MIT OR Apache-2.0
//! A register-level model of a local APIC, written from the Intel SDM Vol. 3A, chapter "Advanced
//! Programmable Interrupt Controller (APIC)" (chapter 10 in the editions whose section and figure
//! numbers are cited here). All numbers are literals of its own.
//!
//! What the manual forbids, panics. Time passes by one step with every access.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use latchwork_x86::hw::{Mmio, Msr};
use latchwork_x86::icr::Ipi;
use latchwork_x86::lapic::{Lapic, SendError, XApic};

/// A message that the APIC has put on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    /// Bits 31:0 of the ICR without the delivery status.
    pub(crate) low: u32,
    /// The destination field; `None` if a shorthand makes it meaningless.
    pub(crate) destination: Option<u32>,
}

/// What happens in NMI context between two accesses.
type Interruption = (u64, Ipi);

pub(crate) struct ApicModel {
    id: u32,
    max_lvt: u32,
    registers: RefCell<BTreeMap<usize, u32>>,
    icr_high: Cell<u32>,
    icr_low: Cell<u32>,
    /// How many accesses a delivery takes.
    delivery_steps: u64,
    delivered_at: Cell<u64>,
    now: Cell<u64>,
    detected_errors: Cell<u32>,
    keeps_errors: Cell<bool>,
    errors_due: RefCell<Vec<(u64, u32)>>,
    messages: RefCell<Vec<Message>>,
    interruptions: RefCell<Vec<Interruption>>,
    send_results: RefCell<Vec<Result<(), SendError>>>,
    stores_ordered: Cell<bool>,
    redirected: Cell<bool>,
}

/// LVT registers by offset (Figure 10-8; Table 10-1): the bits that software may write.
const LVT: [(usize, u32); 7] = [
    (0x2F0, 0x1_07FF), // CMCI: vector, delivery mode, mask
    (0x320, 0x7_00FF), // timer: vector, mask, timer mode
    (0x330, 0x1_07FF), // thermal sensor
    (0x340, 0x1_07FF), // performance counters
    (0x350, 0x1_A7FF), // LINT0: also polarity (13) and trigger mode (15)
    (0x360, 0x1_A7FF), // LINT1
    (0x370, 0x1_00FF), // error: vector, mask
];

impl ApicModel {
    /// An APIC in the state after reset (section 10.4.7.1).
    pub(crate) fn new(id: u32, max_lvt: u32, delivery_steps: u64) -> Self {
        let mut registers = BTreeMap::from([
            (0x80, 0),    // TPR
            (0xF0, 0xFF), // SVR: software-disabled
            (0x280, 0),   // ESR
            (0x380, 0),   // initial count
            (0x3E0, 0),   // divide configuration
        ]);
        for (offset, _) in LVT {
            if Self::lvt_number(offset) <= max_lvt {
                registers.insert(offset, 0x1_0000);
            }
        }
        Self {
            id,
            max_lvt,
            registers: RefCell::new(registers),
            icr_high: Cell::new(0),
            icr_low: Cell::new(0),
            delivery_steps,
            delivered_at: Cell::new(0),
            now: Cell::new(0),
            detected_errors: Cell::new(0),
            keeps_errors: Cell::new(false),
            errors_due: RefCell::default(),
            messages: RefCell::default(),
            interruptions: RefCell::default(),
            send_results: RefCell::default(),
            stores_ordered: Cell::new(false),
            redirected: Cell::new(false),
        }
    }

    /// "Max LVT Entry" is the number of entries minus 1 (section 10.4.8). Pentium has 4 (timer,
    /// LINT0, LINT1, error), P6 adds the performance counters, Pentium 4 the thermal sensor, and
    /// CMCI came as the seventh (section 10.5.1).
    fn lvt_number(offset: usize) -> u32 {
        match offset {
            0x340 => 4,
            0x330 => 5,
            0x2F0 => 6,
            _ => 3,
        }
    }

    /// An NMI before the first access whose number is at least `at` (the first is 1), whose handler
    /// sends `ipi` in xAPIC mode.
    pub(crate) fn interrupt_before(&self, at: u64, ipi: Ipi) {
        self.interruptions.borrow_mut().push((at, ipi));
    }

    pub(crate) fn accesses(&self) -> u64 {
        self.now.get()
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.borrow().clone()
    }

    /// The results of the sends in NMI context.
    pub(crate) fn send_results(&self) -> Vec<Result<(), SendError>> {
        self.send_results.borrow().clone()
    }

    /// Whether the destination was changed while an IPI was pending. The manual does not promise
    /// that the APIC has made its copy.
    pub(crate) fn was_redirected(&self) -> bool {
        self.redirected.get()
    }

    pub(crate) fn icr_high(&self) -> u32 {
        self.icr_high.get()
    }

    pub(crate) fn register(&self, offset: usize) -> u32 {
        self.registers.borrow()[&offset]
    }

    /// From now on nothing clears the ESR, as in QEMU.
    pub(crate) fn keep_errors(&self) {
        self.keeps_errors.set(true);
    }

    /// The APIC detects an error: bits of the ESR.
    pub(crate) fn detect_error(&self, bits: u32) {
        self.detected_errors.set(self.detected_errors.get() | bits);
    }

    /// The APIC detects an error before the access whose number is `at`.
    pub(crate) fn detect_error_before(&self, at: u64, bits: u32) {
        self.errors_due.borrow_mut().push((at, bits));
    }

    /// Delivery status (ICR bit 12, LVT bit 12): the hardware has something pending.
    pub(crate) fn raise_lvt_status(&self, offset: usize, bits: u32) {
        *self.registers.borrow_mut().get_mut(&offset).unwrap() |= bits;
    }

    fn step(&self) {
        self.now.set(self.now.get() + 1);
        self.errors_due.borrow_mut().retain(|&(at, bits)| {
            if at == self.now.get() {
                self.detect_error(bits);
            }
            at != self.now.get()
        });
        loop {
            let due = {
                let mut interruptions = self.interruptions.borrow_mut();
                let index = interruptions.iter().position(|(at, _)| *at <= self.now.get());
                index.map(|index| interruptions.remove(index).1)
            };
            let Some(ipi) = due else { break };
            // SAFETY: the model is in xAPIC mode when a test interrupts it.
            let lapic = Lapic::new(unsafe { XApic::new(self) });
            let result = lapic.send(&ipi);
            self.send_results.borrow_mut().push(result);
        }
    }

    fn is_pending(&self) -> bool {
        self.now.get() < self.delivered_at.get()
    }

    /// Section 10.6.1, Figure 10-12: bits 13, 17:16 and 31:20 are reserved, 12 is read-only. A
    /// write of the low half sends. The delivery status tells software when the APIC can take the
    /// next one; a write before that loses a message.
    fn send(&self, low: u32, destination: u32) {
        assert_eq!(low & 0xFFF3_3000, 0, "reserved bits in ICR {low:#x}");
        assert!(!self.is_pending(), "ICR written while an IPI is pending");
        let to_one = low & 0x000C_0000 == 0;
        self.messages
            .borrow_mut()
            .push(Message { low, destination: to_one.then_some(destination) });
        self.icr_low.set(low);
        self.delivered_at.set(self.now.get().saturating_add(self.delivery_steps));
    }

    fn is_software_enabled(&self) -> bool {
        self.register(0xF0) & 0x100 != 0
    }

    fn version(&self) -> u32 {
        0x14 + self.max_lvt * 0x1_0000
    }

    fn read_common(&self, offset: usize) -> u32 {
        match offset {
            0x30 => self.version(),
            0x390 => self.register(0x380),
            0xB0 => panic!("EOI is write-only"),
            _ => match self.registers.borrow().get(&offset) {
                Some(value) => *value,
                None => panic!("read of reserved offset {offset:#x}"),
            },
        }
    }

    fn write_common(&self, offset: usize, value: u32) {
        let writable = match offset {
            0x80 => 0xFF,
            0xF0 => 0x13FF,
            0x380 => 0xFFFF_FFFF,
            0x3E0 => 0xB,
            // Section 10.5.3: a write latches what was detected since the last one. In x2APIC mode
            // only 0 may be written.
            0xB0 | 0x280 => 0,
            0x20 | 0x30 | 0x390 => panic!("write to read-only offset {offset:#x}"),
            _ => match LVT.iter().find(|(lvt, _)| *lvt == offset) {
                Some((_, bits)) => *bits,
                None => panic!("write to reserved offset {offset:#x}"),
            },
        };
        assert_eq!(value & !writable, 0, "reserved bits in {value:#x} for {offset:#x}");
        match offset {
            0xB0 => {}
            0x280 => {
                let kept = if self.keeps_errors.get() { self.register(0x280) } else { 0 };
                let errors = self.detected_errors.take() | kept;
                self.registers.borrow_mut().insert(0x280, errors);
            }
            _ => {
                // Section 10.4.7.2: "the mask bits for all the LVT entries are set. Attempts to
                // reset these bits will be ignored."
                let forced =
                    if LVT.iter().any(|(lvt, _)| *lvt == offset) && !self.is_software_enabled() {
                        0x1_0000
                    } else {
                        0
                    };
                let mut registers = self.registers.borrow_mut();
                let Some(register) = registers.get_mut(&offset) else {
                    panic!("write to absent LVT entry {offset:#x}")
                };
                *register = value | forced;
                if offset == 0xF0 && value & 0x100 == 0 {
                    for (lvt, _) in LVT {
                        registers.entry(lvt).and_modify(|entry| *entry |= 0x1_0000);
                    }
                }
            }
        }
    }
}

/// xAPIC mode: Table 10-1.
impl Mmio for &ApicModel {
    unsafe fn read(&self, offset: usize) -> u32 {
        self.step();
        match offset {
            0x20 => self.id * 0x0100_0000,
            0x300 => self.icr_low.get() + if self.is_pending() { 0x1000 } else { 0 },
            0x310 => self.icr_high.get(),
            _ => self.read_common(offset),
        }
    }

    unsafe fn write(&self, offset: usize, value: u32) {
        self.step();
        match offset {
            0x300 => self.send(value, self.icr_high.get() / 0x0100_0000),
            0x310 => {
                assert_eq!(value & 0x00FF_FFFF, 0, "reserved bits in upper ICR {value:#x}");
                if self.is_pending() && value != self.icr_high.get() {
                    self.redirected.set(true);
                }
                self.icr_high.set(value);
            }
            _ => self.write_common(offset, value),
        }
    }
}

/// x2APIC mode: the table "Local APIC Register Address Map Supported by x2APIC". MSR 800H + n is
/// offset 16 n, but for the ICR, which is one MSR (830H; 831H does not exist), and SELF IPI (83FH),
/// which is write-only. Reserved bits and registers cause #GP.
impl Msr for &ApicModel {
    unsafe fn read(&self, index: u32) -> u64 {
        self.step();
        assert!((0x800..0x840).contains(&index), "not an x2APIC MSR: {index:#x}");
        match index {
            0x802 => u64::from(self.id),
            0x830 => u64::from(self.icr_low.get()),
            0x831 => panic!("no upper ICR in x2APIC mode"),
            0x83F => panic!("SELF IPI is write-only"),
            _ => u64::from(self.read_common((index as usize - 0x800) * 16)),
        }
    }

    unsafe fn write(&self, index: u32, value: u64) {
        self.step();
        let ordered = self.stores_ordered.take();
        assert!((0x800..0x840).contains(&index), "not an x2APIC MSR: {index:#x}");
        let low = u32::try_from(value % 0x1_0000_0000).unwrap();
        let high = u32::try_from(value / 0x1_0000_0000).unwrap();
        match index {
            0x830 => {
                assert!(ordered, "ICR written without a fence right before it");
                assert_ne!(low & 0x700, 0x100, "lowest priority is reserved in x2APIC mode");
                self.send(low, high);
            }
            0x831 => panic!("no upper ICR in x2APIC mode"),
            0x83F => {
                assert!(ordered, "SELF IPI written without a fence right before it");
                assert!((16..=255).contains(&value), "illegal vector {value}");
                // Section 10.12.11: the same as a fixed, edge-triggered IPI by the Self shorthand.
                self.messages.borrow_mut().push(Message { low: 0x4_4000 + low, destination: None });
            }
            _ => {
                assert_eq!(high, 0, "reserved bits in {index:#x}");
                self.write_common((index as usize - 0x800) * 16, low);
            }
        }
    }

    fn order_stores_before_write(&self) {
        self.stores_ordered.set(true);
    }
}
