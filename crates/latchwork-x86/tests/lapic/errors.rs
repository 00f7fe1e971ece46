// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors that a local APIC found, on one whose error status register is cleared by a write (SDM
//! Vol. 3A, section 10.5.3), and on one where nothing clears it.

use latchwork_x86::lapic::KeptErrors;
use proptest::prelude::*;

use crate::model::ApicModel;
use crate::registers::{AnyLapic, in_both_modes};

/// What is reported when each of `detected` comes before a call.
fn reported(model: &ApicModel, lapic: &AnyLapic<'_>, detected: &[u32]) -> Vec<u32> {
    let mut kept = KeptErrors::NONE;
    let each = detected.iter().map(|&bits| {
        model.detect_error(bits);
        lapic.take_errors(&mut kept).bits()
    });
    each.collect()
}

#[test]
fn errors_since_the_last_call() {
    in_both_modes(0, 6, |model, lapic| {
        assert_eq!(
            reported(model, lapic, &[0x60, 0, 0x60, 0x20, 0x80]),
            [0x60, 0, 0x60, 0x20, 0x80]
        );
    });
}

#[test]
fn a_register_that_nothing_clears_shows_each_error_once() {
    in_both_modes(0, 6, |model, lapic| {
        model.keep_errors();
        assert_eq!(reported(model, lapic, &[0x60, 0, 0x60, 0x80, 0]), [0x60, 0, 0, 0x80, 0]);
    });
}

#[test]
fn an_apic_that_was_reset_is_not_suspected() {
    in_both_modes(0, 6, |model, lapic| {
        let mut kept = KeptErrors::from_bits(0x40);
        model.detect_error(0x40);
        assert_eq!(lapic.take_errors(&mut kept).bits(), 0x40);
        assert_eq!(kept, KeptErrors::NONE);
    });
}

/// An error before each access of a call: this call or the next one reports it.
#[test]
fn no_error_is_lost_between_two_accesses() {
    for keeps in [false, true] {
        in_both_modes(0, 6, |model, lapic| {
            if keeps {
                model.keep_errors();
            }
            let mut kept = KeptErrors::NONE;
            for at in 1..=5 {
                let bits = 1 << at;
                model.detect_error_before(model.accesses() + at, bits);
                let mut seen = 0;
                for _ in 0..3 {
                    seen |= lapic.take_errors(&mut kept).bits();
                }
                assert_eq!(seen, bits, "before access {at}");
            }
        });
    }
}

#[test]
fn errors_read_well() {
    in_both_modes(0, 6, |model, lapic| {
        model.detect_error(0x60);
        let mut kept = KeptErrors::NONE;
        let errors = lapic.take_errors(&mut kept);
        assert!(errors.sent_illegal_vector() && errors.received_illegal_vector());
        let text = format!("{errors:?}");
        assert!(text.contains("send illegal vector, receive illegal vector"), "{text}");
        assert!(lapic.take_errors(&mut kept).is_empty());
    });
}

proptest! {
    #[test]
    fn any_errors_are_reported_as_they_come(
        detected in prop::collection::vec(0..=0xFFu32, 0..8),
        keeps in any::<bool>(),
    ) {
        in_both_modes(0, 6, |model, lapic| {
            if keeps {
                model.keep_errors();
            }
            let mut before = 0;
            let expected: Vec<u32> = detected
                .iter()
                .map(|&bits| {
                    let news = if keeps { bits & !before } else { bits };
                    before |= bits;
                    news
                })
                .collect();
            assert_eq!(reported(model, lapic, &detected), expected);
        });
    }
}
