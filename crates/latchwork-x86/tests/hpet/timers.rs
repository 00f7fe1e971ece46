// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers: where they ring, when, and how often.

use latchwork_x86::hpet::{HpetError, MAX_TICKS, Output, Trigger};
use latchwork_x86::icr::ApicId;
use latchwork_x86::msi::Message;
use proptest::prelude::*;

use crate::model::{Chipset, HpetModel, Ring, anything, driver};

const CHIPSETS: [Chipset; 2] = [Chipset::AccumulatorOnly, Chipset::AccumulatorAndPeriod];
/// Counts from which timers are started: also where 32 bits wrap.
const STARTS: [u64; 4] = [0, 0xFFFF_FF00, 0x1_0000_0000, 0xFFFF_FFFF_FFFF_FF00];

fn level(pin: u8) -> Output {
    Output::Pin { pin, trigger: Trigger::Level }
}

fn running(chipset: Chipset, start: u64) -> HpetModel {
    let model = HpetModel::new(chipset).at(start);
    driver(&model).start();
    model
}

#[test]
fn a_level_stays_until_it_is_acknowledged_and_rings_once() {
    for start in STARTS {
        let model = running(Chipset::AccumulatorOnly, start);
        let hpet = driver(&model);
        assert_eq!(hpet.set_output(0, level(20)), Ok(()));
        let set_at = model.counter();
        assert_eq!(hpet.start_one_shot(0, 1000), Ok(()));
        model.pass(900);
        assert!(!hpet.is_pending(0) && !hpet.acknowledge(0));
        assert_eq!(model.rings(), []);
        model.pass(1000);
        assert_eq!(model.rings(), [Ring::Pin(20)]);
        let late = model.ring_times()[0].wrapping_sub(set_at);
        assert!((1000..1010).contains(&late), "{late} ticks");
        assert!(hpet.is_pending(0) && !hpet.is_pending(1));
        assert!(hpet.acknowledge(0), "it was set");
        assert!(!hpet.acknowledge(0) && !hpet.is_pending(0), "it is consumed");
        model.pass(0xFFFF_0000);
        assert_eq!(model.rings().len(), 1, "once");
        model.pass(0x1_0000);
        assert_eq!(model.rings().len(), 2, "and again when the lower half comes around");
    }
}

#[test]
fn an_edge_has_no_status() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    assert_eq!(hpet.set_output(1, Output::Pin { pin: 8, trigger: Trigger::Edge }), Ok(()));
    assert_eq!(hpet.start_one_shot(1, 500), Ok(()));
    model.pass(600);
    assert_eq!(model.rings(), [Ring::Pin(8)]);
    assert!(!hpet.is_pending(1) && !hpet.acknowledge(1));
}

/// Section 2.3.6: the status bit of a timer that is not level-triggered is to be ignored, and 1
/// never written to it (the model panics).
#[test]
fn what_the_status_shows_of_an_edge_is_ignored_and_not_written() {
    let model = HpetModel::new(Chipset::AccumulatorOnly).with_status_of_edges();
    let hpet = driver(&model);
    hpet.start();
    let message = Output::Message(Message::nmi(ApicId::from(5u8), None).unwrap());
    for output in [Output::Pin { pin: 20, trigger: Trigger::Edge }, message] {
        assert_eq!(hpet.set_output(2, output), Ok(()));
        assert_eq!(hpet.start_one_shot(2, 500), Ok(()));
        model.pass(600);
        assert!(!hpet.is_pending(2) && !hpet.acknowledge(2), "{output:?}");
        assert_eq!(hpet.start_one_shot(2, 500), Ok(()));
        model.set_ticks_per_access(100);
        let too_late = hpet.start_one_shot(2, 50);
        model.set_ticks_per_access(1);
        assert!(matches!(too_late, Err(HpetError::TooLate { .. })), "{output:?}");
    }
    // What is left of it is no condition of the level that the output becomes.
    assert_eq!(hpet.set_output(2, level(20)), Ok(()));
    assert!(!hpet.is_pending(2));
    assert_eq!(hpet.start_one_shot(2, 500), Ok(()));
    model.pass(600);
    assert!(hpet.acknowledge(2));
}

#[test]
fn a_periodic_timer_rings_at_every_period() {
    for chipset in CHIPSETS {
        for start in STARTS {
            for is_running in [false, true] {
                let model = HpetModel::new(chipset).at(start);
                let hpet = driver(&model);
                if is_running {
                    hpet.start();
                }
                assert_eq!(hpet.set_output(0, level(2)), Ok(()));
                let before = model.counter();
                assert_eq!(hpet.start_periodic(0, 1000), Ok(()));
                assert_eq!(hpet.is_running(), is_running);
                hpet.start();
                for _ in 0..50 {
                    model.pass(990);
                    hpet.acknowledge(0);
                }
                let times = model.ring_times();
                assert!((48..=50).contains(&times.len()), "{} rings", times.len());
                let first = times[0].wrapping_sub(before);
                assert!((1000..1020).contains(&first), "the first after {first} ticks");
                for pair in times.windows(2) {
                    assert_eq!(pair[1].wrapping_sub(pair[0]), 1000, "{chipset:?} from {start:#x}");
                }
            }
        }
    }
}

#[test]
fn a_periodic_timer_that_nobody_acknowledges_rings_once() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    assert_eq!(hpet.set_output(0, level(2)), Ok(()));
    assert_eq!(hpet.start_periodic(0, 1000), Ok(()));
    model.pass(10_000);
    assert_eq!(model.rings().len(), 1);
    hpet.acknowledge(0);
    model.pass(1000);
    assert_eq!(model.rings().len(), 2);
}

#[test]
fn a_timer_becomes_one_shot_after_periodic_and_the_other_way_round() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    assert_eq!(hpet.set_output(0, level(2)), Ok(()));
    for round in 0..3 {
        assert_eq!(hpet.start_periodic(0, 1000), Ok(()));
        for _ in 0..3 {
            model.pass(1000);
            assert!(hpet.acknowledge(0), "round {round}");
        }
        assert_eq!(hpet.start_one_shot(0, 1000), Ok(()));
        model.pass(1000);
        assert!(hpet.acknowledge(0), "round {round}");
        model.pass(100_000);
        assert!(!hpet.acknowledge(0), "round {round}");
    }
    assert_eq!(model.rings().len(), 12);
}

#[test]
fn messages() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    let message = Message::nmi(ApicId::from(5u8), None).unwrap();
    assert_eq!(hpet.set_output(2, Output::Message(message)), Ok(()));
    assert_eq!(hpet.start_one_shot(2, 300), Ok(()));
    model.pass(400);
    assert_eq!(model.rings(), [Ring::Message(0xFEE0_5000, 0x0400)]);
    assert!(!hpet.is_pending(2));
    // Back to a pin.
    assert_eq!(hpet.set_output(2, level(11)), Ok(()));
    assert_eq!(hpet.start_one_shot(2, 300), Ok(()));
    model.pass(400);
    assert_eq!(model.rings()[1], Ring::Pin(11));
    assert_eq!(
        hpet.set_output(0, Output::Message(message)),
        Err(HpetError::NoMessages { timer: 0 })
    );
}

#[test]
fn legacy_replacement_routes_the_first_two_timers() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    let legacy = Output::Legacy { trigger: Trigger::Level };
    assert_eq!(hpet.set_output(0, legacy), Err(HpetError::LegacyReplacementOff));
    assert_eq!(hpet.set_legacy_replacement(true), Ok(()));
    for (timer, pin) in [(0, 2), (1, 8)] {
        assert_eq!(hpet.set_output(timer, legacy), Ok(()));
        assert_eq!(hpet.start_one_shot(timer, 100), Ok(()));
        model.pass(200);
        assert_eq!(model.rings().last(), Some(&Ring::Pin(pin)));
        assert!(hpet.acknowledge(timer));
        assert_eq!(hpet.set_output(timer, level(20)), Err(HpetError::LegacyReplacementOn));
    }
    assert_eq!(hpet.set_output(2, legacy), Err(HpetError::LegacyReplacementOff));
    assert_eq!(hpet.set_output(2, level(20)), Ok(()), "timer 2 has an output of its own");
}

/// A timer fires on equality: one that is set behind the counter's back would take 2³² ticks more.
#[test]
fn a_time_that_has_passed_while_it_was_set_is_not_waited_for() {
    let mut too_late = 0;
    for trigger in [Trigger::Level, Trigger::Edge] {
        for ticks in 1..200 {
            for ticks_per_access in [1, 5, 17, 100] {
                let model = running(Chipset::AccumulatorOnly, 0xFFFF_FFC0);
                let hpet = driver(&model);
                assert_eq!(hpet.set_output(0, Output::Pin { pin: 2, trigger }), Ok(()));
                model.set_ticks_per_access(ticks_per_access);
                let result = hpet.start_one_shot(0, ticks);
                model.set_ticks_per_access(1);
                model.pass(1000);
                match result {
                    Ok(()) => assert_eq!(model.rings().len(), 1, "{ticks}, {ticks_per_access}"),
                    Err(HpetError::TooLate { took_ticks, .. }) => {
                        assert!(took_ticks >= ticks);
                        assert!(!hpet.is_pending(0), "no condition without a ring");
                        assert_eq!(model.timer_configuration(0) & 4, 0, "stopped");
                        too_late += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    assert!((50..1500).contains(&too_late), "{too_late} too late");
}

/// Halting the counter lets every line drop, so what is still to be acknowledged rings again.
#[test]
fn a_level_that_is_active_while_the_counter_is_halted_rings_again() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    assert_eq!(hpet.set_output(1, level(20)), Ok(()));
    assert_eq!(hpet.start_one_shot(1, 100), Ok(()));
    model.pass(200);
    assert_eq!(model.rings(), [Ring::Pin(20)]);
    assert_eq!(hpet.set_output(0, level(2)), Ok(()));
    assert_eq!(hpet.start_periodic(0, 1000), Ok(()));
    assert_eq!(model.rings(), [Ring::Pin(20), Ring::Pin(20)], "one condition, two rings");
    assert!(hpet.acknowledge(1));
    hpet.halt();
    hpet.start();
    assert_eq!(model.rings().len(), 2);
}

/// The status may be that of an NMI which is still on its way.
#[test]
fn stopping_leaves_the_status_and_starting_clears_it_without_a_ring() {
    let model = running(Chipset::AccumulatorOnly, 0);
    let hpet = driver(&model);
    assert_eq!(hpet.set_output(0, level(2)), Ok(()));
    assert_eq!(hpet.start_one_shot(0, 100), Ok(()));
    model.pass(200);
    assert_eq!(hpet.stop(0), Ok(()));
    assert!(hpet.is_pending(0));
    assert_eq!(hpet.start_one_shot(0, 100), Ok(()));
    assert!(!hpet.is_pending(0));
    assert_eq!(model.rings().len(), 1);
    assert_eq!(hpet.stop(0), Ok(()));
    model.pass(1000);
    assert_eq!(model.rings().len(), 1, "a stopped timer does not ring");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_touched() {
    let model = HpetModel::new(Chipset::AccumulatorOnly);
    let hpet = driver(&model);
    let none = HpetError::NoSuchTimer { timer: 3, max_timer: 2 };
    assert_eq!(hpet.set_output(3, level(2)), Err(none));
    assert_eq!(hpet.start_one_shot(3, 1), Err(none));
    assert_eq!(hpet.start_periodic(3, 1), Err(none));
    assert_eq!(hpet.stop(3), Err(none));
    assert!(!hpet.acknowledge(3));
    let pins = 0x00F0_0004;
    for pin in [0, 3, 24, 31, 32, 255] {
        let error = HpetError::PinNotRoutable { timer: 0, pin, pins };
        assert_eq!(hpet.set_output(0, level(pin)), Err(error));
    }
    assert_eq!(hpet.start_periodic(1, 1000), Err(HpetError::NotPeriodic { timer: 1 }));
    for ticks in [0, MAX_TICKS + 1, u32::MAX] {
        assert_eq!(hpet.start_one_shot(0, ticks), Err(HpetError::OutOfRange { ticks }));
        assert_eq!(hpet.start_periodic(0, ticks), Err(HpetError::OutOfRange { ticks }));
    }
    assert_eq!(hpet.start_one_shot(0, 100), Err(HpetError::CounterHalted));
    assert_eq!(model.writes(), 0);
    assert_eq!(
        HpetError::PinNotRoutable { timer: 0, pin: 3, pins }.to_string(),
        "HPET timer 0 cannot be wired to I/O APIC pin 3; possible pins are the bits of 0x00f00004"
    );
}

/// Section 2.3.8 asks to read the route back.
#[test]
fn a_pin_that_is_not_taken_is_noticed() {
    let model = HpetModel::new(Chipset::AccumulatorOnly);
    let hpet = driver(&model);
    assert_eq!(hpet.set_output(0, level(2)), Ok(()));
    model.break_pins(1 << 21);
    assert_eq!(
        hpet.set_output(0, level(21)),
        Err(HpetError::PinNotAccepted { timer: 0, pin: 21, reads_back: 2 })
    );
}

proptest! {
    #[test]
    fn any_register_gives_a_value_or_an_error(
        value in any::<u32>(),
        period_fs in 0..0x0600_0000u32,
        timer in any::<u8>(),
        pin in any::<u8>(),
        ticks in any::<u32>(),
    ) {
        let Ok(hpet) = anything(value, period_fs) else { return Ok(()) };
        let _ = hpet.counter();
        let _ = hpet.timer_capabilities(timer);
        let _ = hpet.acknowledge(timer);
        let _ = hpet.set_output(timer, level(pin));
        let _ = hpet.set_output(timer, Output::Legacy { trigger: Trigger::Edge });
        let message = Message::nmi(ApicId::from(1u8), None).unwrap();
        let _ = hpet.set_output(timer, Output::Message(message));
        let _ = hpet.start_one_shot(timer, ticks);
        let _ = hpet.start_periodic(timer, ticks);
        let _ = hpet.capabilities().ticks_of_ns(u64::from(ticks) << 20);
    }
}
