// SPDX-License-Identifier: MIT OR Apache-2.0
//! Capabilities and the counter.

use latchwork_x86::hpet::HpetError;

use crate::model::{Chipset, HpetModel, anything, driver};

fn model() -> HpetModel {
    HpetModel::new(Chipset::AccumulatorOnly)
}

#[test]
fn capabilities() {
    let model = model();
    let capabilities = driver(&model).capabilities();
    assert_eq!(capabilities.period_fs(), 69_841_279);
    assert_eq!(capabilities.max_timer(), 2);
    assert!(capabilities.counter_is_64_bit() && capabilities.has_legacy_replacement());
    assert_eq!((capabilities.revision(), capabilities.vendor()), (1, 0x8086));
    assert_eq!(capabilities.ticks_of_ns(1_000_000_000), Some(14_318_179));
    assert_eq!(capabilities.ticks_of_ns(u64::MAX), None);
    let timer = |number| driver(&model).timer_capabilities(number);
    assert!(timer(0).unwrap().has_periodic() && timer(0).unwrap().is_64_bit());
    assert!(!timer(1).unwrap().has_periodic() && !timer(1).unwrap().is_64_bit());
    assert!(timer(2).unwrap().has_messages() && !timer(1).unwrap().has_messages());
    assert_eq!(timer(1).unwrap().pins(), 0x00F0_0100);
    assert!(timer(1).unwrap().reaches_pin(8) && !timer(1).unwrap().reaches_pin(9));
    assert!(!timer(1).unwrap().reaches_pin(40));
    assert_eq!(timer(3), Err(HpetError::NoSuchTimer { timer: 3, max_timer: 2 }));
    assert_eq!(model.writes(), 0);
}

/// Section 2.3.4: 0 is not permitted, and 05F5E100H femtoseconds is the most.
#[test]
fn an_impossible_period_means_that_nobody_is_there() {
    for period_fs in [0, 0x05F5_E101, 0xFFFF_FFFF] {
        assert_eq!(anything(0, period_fs).err(), Some(HpetError::NotThere { period_fs }));
    }
    for period_fs in [1, 0x05F5_E100] {
        assert!(anything(0, period_fs).is_ok());
    }
}

#[test]
fn the_register_block_holds_24_timers_whatever_is_claimed() {
    let hpet = anything(0xFFFF_FFFF, 1).unwrap();
    assert_eq!(hpet.capabilities().max_timer(), 23);
    assert!(hpet.timer_capabilities(23).is_ok());
    assert!(hpet.timer_capabilities(24).is_err());
    assert!(hpet.is_pending(23) && !hpet.is_pending(24) && !hpet.is_pending(255));
}

/// Wherever the lower half wraps between the reads, and however long the CPU stalls, the answer is
/// a count that the counter had during the call.
#[test]
fn the_counter_is_never_torn() {
    let mut torn_candidates = 0;
    for ticks in [1, 2, 7, 0x4000_0000, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 0x2_8000_0001] {
        for offset in 0..40 {
            let model = model().at(0x7_0000_0000 - offset);
            model.set_ticks_per_access(ticks);
            let hpet = driver(&model);
            hpet.start();
            for _ in 0..20 {
                let (before, accesses) = (model.counter(), model.accesses());
                let count = hpet.counter();
                let after = model.counter();
                assert!((before..=after).contains(&count), "{before:#x} {count:#x} {after:#x}");
                assert!(model.accesses() - accesses <= 3, "bounded");
                torn_candidates += u32::from(before >> 32 != after >> 32);
            }
        }
    }
    assert!(torn_candidates > 1000, "only {torn_candidates} reads around a wrap");
}

#[test]
fn a_32_bit_counter_wraps() {
    let model = model().with_32_bit_counter().at(0xFFFF_FFF0);
    let hpet = driver(&model);
    hpet.start();
    model.pass(0x20);
    assert!(hpet.counter() < 0x100);
}

#[test]
fn starting_and_halting_leave_the_rest_of_the_register() {
    let model = model();
    let hpet = driver(&model);
    assert!(!hpet.is_running());
    hpet.start();
    assert!(hpet.is_running());
    assert_eq!(hpet.set_legacy_replacement(true), Ok(()));
    assert_eq!(model.configuration(), 0xC000_0003);
    hpet.halt();
    assert_eq!(model.configuration(), 0xC000_0002);
    assert!(hpet.legacy_replacement());
    assert_eq!(hpet.set_legacy_replacement(false), Ok(()));
    assert_eq!(model.configuration(), 0xC000_0000);
    let count = hpet.counter();
    model.pass(1000);
    assert_eq!(hpet.counter(), count);
}

#[test]
fn the_counter_is_set_only_while_it_is_halted() {
    let model = model();
    let hpet = driver(&model);
    assert_eq!(hpet.set_counter(0x1234_5678_9ABC_DEF0), Ok(()));
    assert_eq!(hpet.counter(), 0x1234_5678_9ABC_DEF0);
    hpet.start();
    assert_eq!(hpet.set_counter(0), Err(HpetError::CounterRuns));
    let model = HpetModel::new(Chipset::AccumulatorOnly).with_32_bit_counter();
    assert_eq!(driver(&model).set_counter(0x5_0000_0001), Ok(()));
    assert_eq!(driver(&model).counter(), 1);
}

#[test]
fn legacy_replacement_that_is_not_there_is_refused() {
    let model = model().without_legacy_replacement();
    let hpet = driver(&model);
    assert_eq!(hpet.set_legacy_replacement(true), Err(HpetError::NoLegacyReplacement));
    assert_eq!(hpet.set_legacy_replacement(false), Ok(()));
    assert_eq!(model.writes(), 0);
}
