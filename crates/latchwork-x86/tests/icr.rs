// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every IPI that can be represented is a valid row of the manual's table, and says what was asked
//! for.
//!
//! The table and the decoder are written from the manual (Intel SDM Vol. 3A, section 10.6.1
//! "Interrupt Command Register (ICR)", Figure 10-12 and the table of valid combinations, and
//! section 10.12.9 "ICR Operation in x2APIC Mode", Figure 10-28; the chapter has had numbers from 8
//! in the oldest to 13 in the newest editions) and share no constant with the encoder.

use latchwork_x86::icr::{ApicId, FixedTarget, Ipi, NotAddressable, StartupPage, Target};
use latchwork_x86::{NmiSource, Vector};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shorthand {
    None,
    ToSelf,
    AllIncludingSelf,
    AllExcludingSelf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    Edge,
    Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Fixed,
    LowestPriority,
    Smi,
    Nmi,
    Init,
    StartUp,
}

use Mode::{Fixed, Init, LowestPriority, Nmi, Smi, StartUp};

const SHORTHANDS: [Shorthand; 4] =
    [Shorthand::None, Shorthand::ToSelf, Shorthand::AllIncludingSelf, Shorthand::AllExcludingSelf];
const TRIGGERS: [Trigger; 2] = [Trigger::Edge, Trigger::Level];
const ALL_MODES: &[Mode] = &[Fixed, LowestPriority, Smi, Nmi, Init, StartUp];
const ANY_TRIGGER: &[Trigger] = &TRIGGERS;
const EDGE: &[Trigger] = &[Trigger::Edge];
const LEVEL: &[Trigger] = &[Trigger::Level];

struct Row {
    shorthand: Shorthand,
    valid: bool,
    triggers: &'static [Trigger],
    modes: &'static [Mode],
}

const fn row(
    shorthand: Shorthand,
    valid: bool,
    triggers: &'static [Trigger],
    modes: &'static [Mode],
) -> Row {
    Row { shorthand, valid, triggers, modes }
}

/// The table "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local xAPIC Interrupt
/// Command Register".
const TABLE: [Row; 10] = [
    row(Shorthand::None, true, EDGE, ALL_MODES),
    row(Shorthand::None, false, LEVEL, ALL_MODES),
    row(Shorthand::ToSelf, true, EDGE, &[Fixed]),
    row(Shorthand::ToSelf, false, LEVEL, &[Fixed]),
    row(Shorthand::ToSelf, false, ANY_TRIGGER, &[LowestPriority, Nmi, Init, Smi, StartUp]),
    row(Shorthand::AllIncludingSelf, true, EDGE, &[Fixed]),
    row(Shorthand::AllIncludingSelf, false, LEVEL, &[Fixed]),
    row(
        Shorthand::AllIncludingSelf,
        false,
        ANY_TRIGGER,
        &[LowestPriority, Nmi, Init, Smi, StartUp],
    ),
    row(Shorthand::AllExcludingSelf, true, EDGE, ALL_MODES),
    row(Shorthand::AllExcludingSelf, false, LEVEL, ALL_MODES),
];

fn is_valid(shorthand: Shorthand, trigger: Trigger, mode: Mode) -> bool {
    let mut rows = TABLE.iter().filter(|row| {
        row.shorthand == shorthand && row.triggers.contains(&trigger) && row.modes.contains(&mode)
    });
    let row = rows.next().expect("the table has a row for every combination");
    assert!(rows.next().is_none(), "the table has one row for every combination");
    row.valid
}

#[test]
fn the_table_is_total_and_has_fourteen_valid_combinations() {
    let mut valid = 0;
    for shorthand in SHORTHANDS {
        for trigger in TRIGGERS {
            for mode in ALL_MODES {
                valid += u32::from(is_valid(shorthand, trigger, *mode));
            }
        }
    }
    // Six modes for no shorthand, six for all excluding self, and fixed for the two others.
    assert_eq!(valid, 6 + 6 + 1 + 1);
}

/// What an ICR says.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    vector: u8,
    mode: Mode,
    trigger: Trigger,
    shorthand: Shorthand,
    destination: Option<u32>,
}

/// Decodes the low half, which is the same in both modes but for bit 12 (delivery status, read-only
/// in xAPIC, reserved in x2APIC) and delivery mode 001B (reserved in x2APIC).
fn decode_low(low: u32) -> Decoded {
    assert_eq!(low & 0xFFF3_3000, 0, "reserved or read-only bits in {low:#x}");
    assert_eq!(low & 0x0800, 0, "logical destination mode in {low:#x}");
    let mode = match low & 0x0700 {
        0x0000 => Fixed,
        0x0100 => LowestPriority,
        0x0200 => Smi,
        0x0400 => Nmi,
        0x0500 => Init,
        0x0600 => StartUp,
        _ => panic!("reserved delivery mode in {low:#x}"),
    };
    assert_ne!(low & 0x4000, 0, "level de-assert, which only INIT had, in {low:#x}");
    Decoded {
        vector: u8::try_from(low & 0xFF).unwrap(),
        mode,
        trigger: if low & 0x8000 == 0 { Trigger::Edge } else { Trigger::Level },
        shorthand: match low & 0x000C_0000 {
            0x0000_0000 => Shorthand::None,
            0x0004_0000 => Shorthand::ToSelf,
            0x0008_0000 => Shorthand::AllIncludingSelf,
            _ => Shorthand::AllExcludingSelf,
        },
        destination: None,
    }
}

fn decode_xapic(high: Option<u32>, low: u32) -> Decoded {
    let decoded = decode_low(low);
    let destination = high.map(|high| {
        assert_eq!(high & 0x00FF_FFFF, 0, "reserved bits in upper half {high:#x}");
        assert_ne!(high, 0xFF00_0000, "broadcast");
        high / 0x0100_0000
    });
    assert_eq!(destination.is_none(), decoded.shorthand != Shorthand::None);
    Decoded { destination, ..decoded }
}

fn decode_x2apic(icr: u64) -> Decoded {
    let decoded = decode_low(u32::try_from(icr % 0x1_0000_0000).unwrap());
    let destination = u32::try_from(icr / 0x1_0000_0000).unwrap();
    assert_ne!(destination, 0xFFFF_FFFF, "broadcast");
    assert_ne!(decoded.mode, LowestPriority, "reserved in x2APIC mode");
    Decoded {
        destination: (decoded.shorthand == Shorthand::None).then_some(destination),
        ..decoded
    }
}

const SAMPLE_IDS: [u32; 12] = [0, 1, 2, 7, 15, 16, 127, 128, 254, 255, 0x1_0000, 0xFFFF_FFFE];

fn targets() -> Vec<Target> {
    let ids = SAMPLE_IDS.iter().map(|id| Target::Cpu(ApicId::new(*id).unwrap()));
    ids.chain([Target::AllExcludingSelf]).collect()
}

/// Every IPI that the types allow, over the sample of IDs, every vector, every source and every
/// page.
fn representable_ipis() -> Vec<Ipi> {
    let mut ipis = Vec::new();
    let fixed_targets: Vec<FixedTarget> = targets()
        .into_iter()
        .map(FixedTarget::from)
        .chain([FixedTarget::AllIncludingSelf, FixedTarget::ThisCpu])
        .collect();
    for to in fixed_targets {
        for vector in (0..=255).filter_map(Vector::new) {
            ipis.push(Ipi::Fixed { vector, to });
        }
    }
    let sources: Vec<NmiSource> = (0..=255).filter_map(NmiSource::new).collect();
    for to in targets() {
        ipis.push(Ipi::Nmi { source: None, to });
        ipis.extend(sources.iter().map(|source| Ipi::Nmi { source: Some(*source), to }));
        ipis.push(Ipi::Smi { to });
        ipis.push(Ipi::Init { to });
        for number in 0..=255 {
            // SAFETY: nothing is sent.
            let page = unsafe { StartupPage::new(number) };
            ipis.push(Ipi::Startup { page, to });
        }
    }
    ipis
}

/// What was asked for. Has no wildcard, so that a new kind of IPI must be added here and above.
fn meaning(ipi: &Ipi) -> (Mode, FixedTarget) {
    match *ipi {
        Ipi::Fixed { to, .. } => (Fixed, to),
        Ipi::Nmi { to, .. } => (Nmi, to.into()),
        Ipi::Smi { to } => (Smi, to.into()),
        Ipi::Init { to } => (Init, to.into()),
        Ipi::Startup { to, .. } => (StartUp, to.into()),
    }
}

fn check(ipi: &Ipi, decoded: &Decoded) {
    assert!(
        is_valid(decoded.shorthand, decoded.trigger, decoded.mode),
        "{ipi:?} is the invalid combination {decoded:?}"
    );
    let (mode, to) = meaning(ipi);
    assert_eq!(decoded.mode, mode, "{ipi:?}");
    let (shorthand, destination) = match to {
        FixedTarget::Cpu(id) => (Shorthand::None, Some(id.get())),
        FixedTarget::ThisCpu => (Shorthand::ToSelf, None),
        FixedTarget::AllIncludingSelf => (Shorthand::AllIncludingSelf, None),
        FixedTarget::AllExcludingSelf => (Shorthand::AllExcludingSelf, None),
    };
    assert_eq!((decoded.shorthand, decoded.destination), (shorthand, destination), "{ipi:?}");
    match *ipi {
        Ipi::Fixed { vector, .. } => {
            assert_eq!(decoded.vector, vector.get());
            assert!(decoded.vector >= 16, "illegal vector in {ipi:?}");
        }
        Ipi::Nmi { source, .. } => {
            assert_eq!(decoded.vector, source.map_or(0, NmiSource::get));
            assert!(decoded.vector < 16 && decoded.vector != 2);
        }
        // "The vector field must be programmed to 00H" (section 10.6.1, SMI and INIT).
        Ipi::Smi { .. } | Ipi::Init { .. } => assert_eq!(decoded.vector, 0),
        Ipi::Startup { .. } => {}
    }
}

#[test]
fn every_representable_ipi_is_valid_in_x2apic_mode() {
    for ipi in representable_ipis() {
        check(&ipi, &decode_x2apic(ipi.to_x2apic()));
    }
}

#[test]
fn every_representable_ipi_is_valid_or_refused_in_xapic_mode() {
    for ipi in representable_ipis() {
        match (ipi.to_xapic(), meaning(&ipi).1) {
            (Ok(icr), _) => check(&ipi, &decode_xapic(icr.high, icr.low)),
            // IDs 255 (broadcast) and above do not fit.
            (Err(NotAddressable(refused)), FixedTarget::Cpu(id)) => {
                assert_eq!(refused, id);
                assert!(id.get() >= 255, "{ipi:?} could have been sent");
            }
            (Err(error), _) => panic!("{ipi:?} by shorthand was refused: {error}"),
        }
    }
}

#[test]
fn start_up_carries_the_page() {
    // SAFETY: nothing is sent.
    let page = unsafe { StartupPage::new(0x9A) };
    let to = Target::Cpu(ApicId::from(1u8));
    assert_eq!(decode_x2apic(Ipi::Startup { page, to }.to_x2apic()).vector, 0x9A);
}

#[test]
fn numbers_that_mean_something_else_are_refused() {
    assert_eq!((0..=255).find_map(Vector::new).map(Vector::get), Some(16));
    let sources: Vec<u8> = (0..=255).filter_map(NmiSource::new).map(NmiSource::get).collect();
    assert_eq!(sources, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(ApicId::new(0xFFFF_FFFF), None);
}
