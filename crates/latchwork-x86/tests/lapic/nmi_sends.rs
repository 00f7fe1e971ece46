// SPDX-License-Identifier: MIT OR Apache-2.0
//! A send in NMI context between every two accesses of an interrupted send: both reach whom they
//! were meant for.

use latchwork_x86::hw::Mmio;
use latchwork_x86::icr::{ApicId, FixedTarget, Ipi, NotAddressable, Target};
use latchwork_x86::lapic::{IDLE_POLL_LIMIT, Lapic, SendError, X2Apic, XApic};
use latchwork_x86::{NmiSource, Vector};

use crate::model::{ApicModel, Message};

/// How many accesses a delivery takes, from none to more than a whole send has.
const DELIVERY_STEPS: [u64; 5] = [0, 1, 2, 5, 12];

fn xapic(model: &ApicModel) -> Lapic<XApic<&ApicModel>> {
    // SAFETY: the model stands for an APIC in xAPIC mode.
    Lapic::new(unsafe { XApic::new(model) })
}

fn x2apic(model: &ApicModel) -> Lapic<X2Apic<&ApicModel>> {
    // SAFETY: the model stands for an APIC in x2APIC mode.
    Lapic::new(unsafe { X2Apic::new(model) })
}

fn nmi_to(id: u8) -> Ipi {
    Ipi::Nmi { source: None, to: Target::Cpu(ApicId::from(id)) }
}

fn fixed(to: FixedTarget) -> Ipi {
    Ipi::Fixed { vector: Vector::of::<0xF3>(), to }
}

/// IPIs of every form, each with the message that the manual's ICR layout makes of it.
fn samples() -> [(Ipi, Message); 6] {
    let to_one = |low, destination| Message { low, destination: Some(destination) };
    let by_shorthand = |low| Message { low, destination: None };
    [
        (nmi_to(5), to_one(0x4400, 5)),
        (nmi_to(0), to_one(0x4400, 0)),
        (
            Ipi::Nmi { source: NmiSource::new(3), to: Target::AllExcludingSelf },
            by_shorthand(0xC_4403),
        ),
        (fixed(FixedTarget::Cpu(ApicId::from(9u8))), to_one(0x40F3, 9)),
        (fixed(FixedTarget::ThisCpu), by_shorthand(0x4_40F3)),
        (fixed(FixedTarget::AllIncludingSelf), by_shorthand(0x8_40F3)),
    ]
}

fn assert_delivered(model: &ApicModel, expected: &[Message], case: &str) {
    let mut delivered = model.messages();
    delivered.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(delivered, expected, "{case}");
    assert!(!model.was_redirected(), "{case}");
    assert!(model.send_results().iter().all(Result::is_ok), "{case}");
}

/// Runs `interrupted` with `interruptions` at every combination of points, as far as it goes.
/// `interrupted` gives the expected messages.
fn at_every_point(
    delivery_steps: u64,
    ipis: &[(Ipi, Message)],
    interrupted: impl Fn(&ApicModel) -> Vec<Message>,
) -> u64 {
    let mut points = vec![1u64; ipis.len()];
    let mut cases = 0;
    loop {
        let model = ApicModel::new(2, 6, delivery_steps);
        for ((ipi, _), at) in ipis.iter().zip(&points) {
            model.interrupt_before(*at, *ipi);
        }
        let mut expected = interrupted(&model);
        let reached = points.iter().filter(|at| **at <= model.accesses()).count();
        if reached == ipis.len() {
            expected.extend(ipis.iter().map(|(_, message)| *message));
            assert_delivered(
                &model,
                &expected,
                &format!("{ipis:?} at {points:?}, {delivery_steps} steps"),
            );
            cases += 1;
        }
        // Count the points up like digits: the last one first, carrying when it lies behind the
        // end.
        let Some(last) = points.iter().rposition(|at| *at <= model.accesses()) else {
            return cases;
        };
        points[last] += 1;
        for later in &mut points[last + 1..] {
            *later = 1;
        }
    }
}

#[test]
fn both_sends_arrive_wherever_the_nmi_comes() {
    for delivery_steps in DELIVERY_STEPS {
        for (outer, outer_message) in samples() {
            for inner in samples() {
                let cases = at_every_point(delivery_steps, &[inner], |model| {
                    assert_eq!(xapic(model).send(&outer), Ok(()));
                    vec![outer_message]
                });
                assert!(cases >= 3, "only {cases} points to interrupt");
            }
        }
    }
}

#[test]
fn three_sends_arrive_wherever_two_nmis_come_one_after_or_inside_the_other() {
    for delivery_steps in [0, 2] {
        let (outer, outer_message) = samples()[0];
        let (first, second) = (samples()[3], samples()[1]);
        let cases = at_every_point(delivery_steps, &[first, second], |model| {
            assert_eq!(xapic(model).send(&outer), Ok(()));
            vec![outer_message]
        });
        assert!(cases >= 36, "only {cases} pairs of points");
    }
}

/// A driver that knows nothing of NMIs: it waits for idle, then writes the two halves (section
/// 10.6.1).
#[test]
fn a_foreign_send_arrives_wherever_the_nmi_comes() {
    for delivery_steps in DELIVERY_STEPS {
        for inner in samples() {
            at_every_point(delivery_steps, &[inner], |model| {
                // SAFETY: the model takes any access, and panics on a wrong one.
                while unsafe { Mmio::read(&model, 0x300) } & 0x1000 != 0 {}
                // SAFETY: as above.
                unsafe { Mmio::write(&model, 0x310, 0x0B00_0000) };
                // SAFETY: as above.
                unsafe { Mmio::write(&model, 0x300, 0x0000_40E1) };
                vec![Message { low: 0x40E1, destination: Some(0xB) }]
            });
        }
    }
}

#[test]
fn a_send_leaves_the_upper_half_as_it_was() {
    for (ipi, _) in samples() {
        let model = ApicModel::new(2, 6, 3);
        // SAFETY: the model takes any access, and panics on a wrong one.
        unsafe { Mmio::write(&&model, 0x310, 0x7700_0000) };
        assert_eq!(xapic(&model).send(&ipi), Ok(()));
        assert_eq!(model.icr_high(), 0x7700_0000, "{ipi:?}");
    }
}

#[test]
fn a_send_leaves_the_apic_idle() {
    for delivery_steps in DELIVERY_STEPS {
        for (ipi, _) in samples() {
            let model = ApicModel::new(2, 6, delivery_steps);
            assert_eq!(xapic(&model).send(&ipi), Ok(()));
            // SAFETY: the model takes any access, and panics on a wrong one.
            assert_eq!(unsafe { Mmio::read(&&model, 0x300) } & 0x1000, 0);
        }
    }
}

#[test]
fn an_apic_that_never_becomes_idle_is_reported_and_not_waited_for() {
    let model = ApicModel::new(2, 6, u64::MAX);
    // SAFETY: the model takes any access, and panics on a wrong one.
    unsafe { Mmio::write(&&model, 0x310, 0x7700_0000) };
    assert_eq!(xapic(&model).send(&nmi_to(5)), Err(SendError::StillPending));
    assert_eq!(model.icr_high(), 0x7700_0000);
    let before = model.accesses();
    assert_eq!(xapic(&model).send(&nmi_to(6)), Err(SendError::Busy));
    assert!(model.accesses() - before <= u64::from(IDLE_POLL_LIMIT));
    assert_eq!(model.messages().len(), 1, "the second was not sent");
}

#[test]
fn an_id_that_does_not_fit_is_refused_in_xapic_mode_and_sent_in_x2apic_mode() {
    let id = ApicId::new(255).unwrap();
    let ipi = Ipi::Nmi { source: None, to: Target::Cpu(id) };
    let model = ApicModel::new(2, 6, 0);
    assert_eq!(xapic(&model).send(&ipi), Err(SendError::NotAddressable(NotAddressable(id))));
    assert_eq!(model.messages(), []);
    assert_eq!(x2apic(&model).send(&ipi), Ok(()));
    assert_eq!(model.messages(), [Message { low: 0x4400, destination: Some(255) }]);
}

/// The model panics if the fence is missing.
#[test]
fn x2apic_sends_after_a_fence_with_one_write() {
    for (ipi, message) in samples() {
        let model = ApicModel::new(2, 6, 0);
        assert_eq!(x2apic(&model).send(&ipi), Ok(()));
        assert_eq!(model.messages(), [message]);
        assert_eq!(model.accesses(), 1);
    }
}

#[test]
fn a_maskable_self_ipi_is_fixed_in_both_modes() {
    let expected = [Message { low: 0x4_40F0, destination: None }];
    let model = ApicModel::new(2, 6, 0);
    assert_eq!(xapic(&model).send_self(Vector::of::<0xF0>()), Ok(()));
    assert_eq!(model.messages(), expected);
    let model = ApicModel::new(2, 6, 0);
    assert_eq!(x2apic(&model).send_self(Vector::of::<0xF0>()), Ok(()));
    assert_eq!(model.messages(), expected);
}
