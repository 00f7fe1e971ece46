// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O APIC driver against a register-level model that is written from the Intel 82093AA
//! datasheet (section numbers are its) and shares no constant with it.
//!
//! What the datasheet forbids, panics.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use latchwork_x86::hw::Mmio;
use latchwork_x86::icr::ApicId;
use latchwork_x86::ioapic::{Delivery, IoApic, IoApicError, Mask, Polarity, Route, Trigger};
use latchwork_x86::msi::IdTooWide;
use latchwork_x86::{NmiSource, Vector};
use proptest::prelude::*;

/// What goes out for a signal: bits 10:8 and 7:0 of the entry, and its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    delivery_mode: u32,
    vector: u32,
    destination: u32,
}

struct IoApicModel {
    version: u32,
    index: Cell<u32>,
    /// By register number, 10H and up.
    entries: RefCell<BTreeMap<u32, u32>>,
    lines: RefCell<BTreeMap<u32, bool>>,
    sent: RefCell<Vec<Sent>>,
    writes: RefCell<Vec<(u32, u32)>>,
    /// A pin whose line goes up and down before every access.
    pulsed: Cell<Option<u32>>,
}

/// Reserved bits of this model read as something, so that a driver that drops them is seen.
const RESERVED_LOW: u32 = 0xA5A4_0000;
const RESERVED_HIGH: u32 = 0x0000_5AA5;

impl IoApicModel {
    /// After reset all entries are masked, and the rest is undefined (section 3.2.4).
    fn new(max_pin: u32) -> Self {
        let entries = (0..=max_pin)
            .flat_map(|pin| {
                [
                    (0x10 + 2 * pin, RESERVED_LOW + 0x1_0000),
                    (0x11 + 2 * pin, 0x3300_0000 + RESERVED_HIGH),
                ]
            })
            .collect();
        Self {
            version: 0x11 + max_pin * 0x1_0000,
            index: Cell::new(0),
            entries: RefCell::new(entries),
            lines: RefCell::default(),
            sent: RefCell::default(),
            writes: RefCell::default(),
            pulsed: Cell::new(None),
        }
    }

    fn low(&self, pin: u32) -> u32 {
        self.entries.borrow()[&(0x10 + 2 * pin)]
    }

    fn high(&self, pin: u32) -> u32 {
        self.entries.borrow()[&(0x11 + 2 * pin)]
    }

    fn set_status(&self, pin: u32, bits: u32) {
        *self.entries.borrow_mut().get_mut(&(0x10 + 2 * pin)).unwrap() |= bits;
    }

    fn put(&self, pin: u32, low: u32, high: u32) {
        self.entries.borrow_mut().insert(0x10 + 2 * pin, low);
        self.entries.borrow_mut().insert(0x11 + 2 * pin, high);
    }

    /// The line of a pin takes a level. An edge on a masked pin is ignored (section 3.2.4, bit 16),
    /// and polarity (bit 13) says which edge counts.
    fn drive(&self, pin: u32, is_high: bool) {
        let was_high = self.lines.borrow_mut().insert(pin, is_high).unwrap_or(false);
        let low = self.low(pin);
        let active_level = low & 0x2000 == 0;
        if was_high != is_high && is_high == active_level && low & 0x1_0000 == 0 {
            self.sent.borrow_mut().push(Sent {
                delivery_mode: low / 0x100 % 8,
                vector: low % 0x100,
                destination: self.high(pin) / 0x100_0000,
            });
        }
    }

    fn step(&self) {
        if let Some(pin) = self.pulsed.get() {
            self.drive(pin, true);
            self.drive(pin, false);
        }
    }

    fn write_entry(&self, register: u32, value: u32) {
        let Some(&old) = self.entries.borrow().get(&register) else {
            panic!("write to reserved register {register:#x}")
        };
        let is_high = register % 2 == 1;
        let masked = self.entries.borrow()[&(register - register % 2)] & 0x1_0000 != 0;
        if is_high {
            // Bits 55:17 are reserved; in later chipsets 55:48 extend the destination.
            assert_eq!(value & 0xFFFF, old & 0xFFFF, "reserved bits in {value:#x}");
            assert_eq!(value & 0x00FF_0000, 0, "destination beyond 8 bits: {value:#x}");
            assert!(masked, "upper half of an unmasked entry written");
            self.entries.borrow_mut().insert(register, value);
            return;
        }
        assert_eq!(value & 0xFFFE_0000, old & 0xFFFE_0000, "reserved bits in {value:#x}");
        let changed = (value ^ old) & if value & 0x700 == 0x400 { 0x2FFF } else { 0xAFFF };
        assert!(
            masked || changed == 0,
            "route of an unmasked entry changed: {old:#x} to {value:#x}"
        );
        assert!(
            value & 0x700 != 0x400 || value & 0x8000 == 0,
            "an NMI entry must be programmed as edge-triggered"
        );
        assert!(
            value & 0x700 != 0 || value & 0xFF >= 16 || value & 0x1_0000 != 0,
            "illegal vector"
        );
        // Delivery status and remote IRR (bits 12 and 14) are read-only.
        self.entries.borrow_mut().insert(register, (value & !0x5000) | (old & 0x5000));
    }
}

impl Mmio for &IoApicModel {
    unsafe fn read(&self, offset: usize) -> u32 {
        self.step();
        match (offset, self.index.get()) {
            (0x00, index) => index,
            (0x10, 0x00) => 0x0B00_0000,
            (0x10, 0x01) => self.version,
            (0x10, register) => match self.entries.borrow().get(&register) {
                Some(value) => *value,
                None => panic!("read of reserved register {register:#x}"),
            },
            _ => panic!("read of reserved offset {offset:#x}"),
        }
    }

    unsafe fn write(&self, offset: usize, value: u32) {
        self.step();
        match (offset, self.index.get()) {
            (0x00, _) => {
                assert!(value <= 0xFF, "reserved bits in the index {value:#x}");
                self.index.set(value);
            }
            (0x10, 0x01 | 0x02) => panic!("write to a read-only register"),
            (0x10, register) => {
                self.writes.borrow_mut().push((register, value));
                self.write_entry(register, value);
            }
            _ => panic!("write to reserved offset {offset:#x}"),
        }
    }
}

fn driver(model: &IoApicModel) -> IoApic<&IoApicModel> {
    // SAFETY: the model stands for an I/O APIC that nobody else uses.
    unsafe { IoApic::new(model) }.unwrap()
}

fn nmi(source: Option<NmiSource>, polarity: Polarity, to: u8) -> Route {
    Route { delivery: Delivery::Nmi(source), polarity, to: ApicId::from(to) }
}

fn fixed(vector: u8, trigger: Trigger, to: u8) -> Route {
    Route {
        delivery: Delivery::Fixed(Vector::new(vector).unwrap(), trigger),
        polarity: Polarity::ActiveHigh,
        to: ApicId::from(to),
    }
}

#[test]
fn identity() {
    let model = IoApicModel::new(23);
    let mut io_apic = driver(&model);
    assert_eq!(io_apic.id(), 0xB);
    assert_eq!((io_apic.version().number(), io_apic.version().max_pin()), (0x11, 23));
}

#[test]
fn routes_are_encoded_as_the_datasheet_has_them() {
    let cases = [
        (nmi(None, Polarity::ActiveHigh, 0), 0x0400, 0x0000_0000),
        (nmi(NmiSource::new(9), Polarity::ActiveHigh, 3), 0x0409, 0x0300_0000),
        (nmi(None, Polarity::ActiveLow, 254), 0x2400, 0xFE00_0000),
        (fixed(0x31, Trigger::Edge, 1), 0x0031, 0x0100_0000),
        (fixed(0xFE, Trigger::Level, 1), 0x80FE, 0x0100_0000),
    ];
    for pin in [0, 2, 23] {
        for (route, low, high) in cases {
            for (mask, mask_bit) in [(Mask::Masked, 0x1_0000), (Mask::Unmasked, 0)] {
                let model = IoApicModel::new(23);
                // What firmware may have left: logical destination, another mode, a far CPU.
                model.put(u32::from(pin), RESERVED_LOW + 0x1_0F55, 0xFF00_0000 + RESERVED_HIGH);
                assert_eq!(driver(&model).set(pin, &route, mask), Ok(()));
                assert_eq!(model.low(u32::from(pin)), RESERVED_LOW + low + mask_bit, "{route:?}");
                assert_eq!(model.high(u32::from(pin)), RESERVED_HIGH + high, "{route:?}");
                let entry = driver(&model).entry(pin).unwrap();
                assert_eq!(entry.mask(), mask);
                assert_eq!(entry.polarity(), route.polarity);
                assert_eq!(entry.delivers_nmi(), matches!(route.delivery, Delivery::Nmi(_)));
                assert_eq!(u32::from(entry.vector_field()), low & 0xFF);
                assert_eq!(entry.physical_destination(), Some(high.to_be_bytes()[0]));
            }
        }
    }
}

/// The line goes up and down before every single access while one route replaces another.
#[test]
fn no_signal_goes_along_half_a_route() {
    let routes = [
        nmi(NmiSource::new(5), Polarity::ActiveHigh, 1),
        nmi(None, Polarity::ActiveLow, 2),
        fixed(0x44, Trigger::Edge, 3),
        fixed(0x55, Trigger::Level, 4),
    ];
    let whole = [
        Sent { delivery_mode: 4, vector: 5, destination: 1 },
        Sent { delivery_mode: 4, vector: 0, destination: 2 },
        Sent { delivery_mode: 0, vector: 0x44, destination: 3 },
        Sent { delivery_mode: 0, vector: 0x55, destination: 4 },
    ];
    for from in 0..routes.len() {
        for to in 0..routes.len() {
            let model = IoApicModel::new(23);
            let mut io_apic = driver(&model);
            assert_eq!(io_apic.set(7, &routes[from], Mask::Unmasked), Ok(()));
            model.pulsed.set(Some(7));
            assert_eq!(io_apic.set(7, &routes[to], Mask::Unmasked), Ok(()));
            model.step();
            let sent = model.sent.borrow();
            assert!(sent.iter().all(|sent| [whole[from], whole[to]].contains(sent)), "{sent:?}");
            assert_eq!(sent.last(), Some(&whole[to]));
        }
    }
}

#[test]
fn an_entry_is_masked_then_written_from_the_top_then_unmasked() {
    let model = IoApicModel::new(23);
    let mut io_apic = driver(&model);
    assert_eq!(io_apic.set(1, &fixed(0x44, Trigger::Edge, 3), Mask::Unmasked), Ok(()));
    model.writes.borrow_mut().clear();
    assert_eq!(io_apic.set(1, &nmi(None, Polarity::ActiveLow, 2), Mask::Unmasked), Ok(()));
    let expected =
        [(0x12, 0xA5A5_0044), (0x13, 0x0200_5AA5), (0x12, 0xA5A5_2400), (0x12, 0xA5A4_2400)];
    assert_eq!(*model.writes.borrow(), expected);
}

#[test]
fn an_edge_on_a_masked_pin_is_gone() {
    let model = IoApicModel::new(23);
    let mut io_apic = driver(&model);
    assert_eq!(io_apic.set(2, &nmi(None, Polarity::ActiveHigh, 6), Mask::Masked), Ok(()));
    model.drive(2, true);
    assert_eq!(io_apic.set_mask(2, Mask::Unmasked), Ok(()));
    assert_eq!(*model.sent.borrow(), []);
    model.drive(2, false);
    model.drive(2, true);
    assert_eq!(*model.sent.borrow(), [Sent { delivery_mode: 4, vector: 0, destination: 6 }]);
    assert_eq!(io_apic.set_mask(2, Mask::Masked), Ok(()));
    model.drive(2, false);
    model.drive(2, true);
    assert_eq!(model.sent.borrow().len(), 1);
}

#[test]
fn masking_writes_one_half_and_no_status_bit_back() {
    let model = IoApicModel::new(23);
    let mut io_apic = driver(&model);
    assert_eq!(io_apic.set(9, &fixed(0x61, Trigger::Level, 2), Mask::Unmasked), Ok(()));
    model.set_status(9, 0x5000);
    let entry = io_apic.entry(9).unwrap();
    assert!(entry.is_pending());
    assert_eq!(entry.remote_irr(), Some(true));
    assert_eq!(entry.bits(), 0x0200_5AA5_A5A4_D061);
    model.writes.borrow_mut().clear();
    assert_eq!(io_apic.set_mask(9, Mask::Masked), Ok(()));
    assert_eq!(io_apic.set_mask(9, Mask::Unmasked), Ok(()));
    assert_eq!(*model.writes.borrow(), [(0x22, 0xA5A5_8061), (0x22, 0xA5A4_8061)]);
}

#[test]
fn a_level_triggered_nmi_entry_of_the_firmware_becomes_edge_triggered() {
    let model = IoApicModel::new(23);
    model.put(4, RESERVED_LOW + 0x1_8400, RESERVED_HIGH);
    let mut io_apic = driver(&model);
    assert_eq!(io_apic.entry(4).unwrap().trigger(), Trigger::Level);
    assert_eq!(io_apic.set_mask(4, Mask::Unmasked), Ok(()));
    assert_eq!(model.low(4), RESERVED_LOW + 0x0400);
}

/// Every NMI route there is, over whatever firmware left, masked and unmasked and masked again: no
/// write of a lower half has both delivery mode NMI (bits 10:8 are 100) and level (bit 15), which
/// section 3.2.4 forbids and emulators take in their own ways.
#[test]
fn no_nmi_route_ever_carries_the_level_bit() {
    let sources = (0..=255).map(NmiSource::new).filter(Option::is_some).chain([None]);
    let left_by_firmware = [0x1_0000, 0x1_FFFF, 0x0_84FF, 0x1_8400, 0x0_8031, 0x0_0400];
    let mut routes = 0;
    for source in sources {
        for polarity in [Polarity::ActiveHigh, Polarity::ActiveLow] {
            for (to, left) in [0, 1, 254].into_iter().zip(left_by_firmware.chunks(2)) {
                for low in left {
                    let model = IoApicModel::new(0);
                    model.put(0, RESERVED_LOW + low, RESERVED_HIGH);
                    let mut io_apic = driver(&model);
                    let route = nmi(source, polarity, to);
                    for mask in [Mask::Masked, Mask::Unmasked] {
                        assert_eq!(io_apic.set(0, &route, mask), Ok(()));
                        assert_eq!(model.low(0) & 0x8700, 0x0400, "{route:?} over {low:#x}");
                        for change in [Mask::Unmasked, Mask::Masked] {
                            assert_eq!(io_apic.set_mask(0, change), Ok(()));
                        }
                    }
                    assert_no_level_nmi(&model);
                    routes += 1;
                }
            }
        }
    }
    assert!(routes >= 2 * 2 * left_by_firmware.len(), "only {routes} cases");
}

fn assert_no_level_nmi(model: &IoApicModel) {
    let writes = model.writes.borrow();
    let mut low_halves = writes.iter().filter(|(register, _)| register % 2 == 0);
    assert!(low_halves.all(|(_, value)| value & 0x8700 != 0x8400), "{writes:x?}");
}

/// Remote IRR "is undefined for edge triggered interrupts".
#[test]
fn remote_irr_means_nothing_for_an_edge() {
    let model = IoApicModel::new(0);
    let mut io_apic = driver(&model);
    assert_eq!(io_apic.set(0, &nmi(None, Polarity::ActiveHigh, 0), Mask::Masked), Ok(()));
    model.set_status(0, 0x4000);
    assert_eq!(io_apic.entry(0).unwrap().remote_irr(), None);
}

#[test]
fn a_pin_that_is_not_there_is_refused_and_not_touched() {
    let model = IoApicModel::new(15);
    let mut io_apic = driver(&model);
    let error = IoApicError::NoSuchPin { pin: 16, max_pin: 15 };
    let route = nmi(None, Polarity::ActiveHigh, 0);
    assert_eq!(io_apic.set(16, &route, Mask::Unmasked), Err(error));
    assert_eq!(io_apic.set_mask(16, Mask::Unmasked), Err(error));
    assert_eq!(io_apic.entry(16), Err(error));
    assert_eq!(error.to_string(), "this I/O APIC has no pin 16; its last one is 15");
    assert_eq!(io_apic.set(15, &route, Mask::Masked), Ok(()));
}

#[test]
fn a_cpu_that_has_no_8_bit_id_is_refused_before_anything_is_written() {
    for id in [255, 256, 0x1_0000] {
        let model = IoApicModel::new(23);
        let mut io_apic = driver(&model);
        let to = ApicId::new(id).unwrap();
        let route = Route { to, ..nmi(None, Polarity::ActiveHigh, 0) };
        let error = IoApicError::IdTooWide(IdTooWide(to));
        assert_eq!(io_apic.set(3, &route, Mask::Unmasked), Err(error));
        assert_eq!(*model.writes.borrow(), []);
    }
}

/// Registers that take and give any value.
struct Anything(u32);

impl Mmio for Anything {
    unsafe fn read(&self, _: usize) -> u32 {
        self.0
    }

    unsafe fn write(&self, _: usize, _: u32) {}
}

#[test]
fn an_absent_io_apic_is_noticed() {
    // SAFETY: nothing is behind it.
    let io_apic = unsafe { IoApic::new(Anything(0xFFFF_FFFF)) };
    assert_eq!(io_apic.err(), Some(IoApicError::NotThere));
}

proptest! {
    #[test]
    fn any_register_gives_a_value_or_an_error(value in any::<u32>(), pin in any::<u8>()) {
        // SAFETY: nothing is behind it.
        let Ok(mut io_apic) = (unsafe { IoApic::new(Anything(value)) }) else { return Ok(()) };
        let _ = io_apic.id();
        if let Ok(entry) = io_apic.entry(pin) {
            prop_assert!(pin < 120, "register numbers have 8 bits");
            let _ = (entry.remote_irr(), entry.physical_destination(), entry.polarity());
        }
        let route = nmi(None, Polarity::ActiveLow, 1);
        let set = io_apic.set(pin, &route, Mask::Unmasked);
        prop_assert_eq!(set.is_ok(), io_apic.entry(pin).is_ok());
    }

    /// Masking alone, over any entry: what is written is no NMI with the level bit either.
    #[test]
    fn no_change_of_the_mask_leaves_a_level_nmi(low in 0..=0x1_FFFFu32, unmask in any::<bool>()) {
        let model = IoApicModel::new(0);
        // A fixed vector below 16 is illegal unmasked, and no fault of the driver's here.
        let low = if low & 0x700 == 0 { low | 0x10 } else { low };
        model.put(0, RESERVED_LOW + low, RESERVED_HIGH);
        let mask = if unmask { Mask::Unmasked } else { Mask::Masked };
        prop_assert_eq!(driver(&model).set_mask(0, mask), Ok(()));
        assert_no_level_nmi(&model);
    }
}
