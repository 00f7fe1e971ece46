// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our policy holds every property in every execution of these scenarios, in both recovery modes.
//! They are those whose searches end in seconds; `cargo xtask explore` searches the others.

use latchwork_sim::{
    engine::Verdict,
    policy::{Latchwork, Policy, Recovery},
    run::Setting,
    scenario::{Extent, Scenario},
};

fn holds(name: &str) {
    let scenario = Scenario::named(name).expect("a scenario");
    for recovery in [Recovery::Poll, Recovery::Probe] {
        let policy = move || Box::new(Latchwork(recovery)) as Box<dyn Policy>;
        let setting = Setting::new(scenario, Extent::Exhaustive, &policy);
        let report = setting.exhaust(&scenario.bounds());
        assert_eq!(report.verdict, Verdict::Held, "{recovery:?} in {name}");
        assert!(report.states > 500, "{} states are hardly a search", report.states);
    }
}

#[test]
fn clock_reset() {
    holds("clock-reset");
}

#[test]
fn parked_for_long() {
    holds("parked-for-long");
}

#[test]
fn pmi_collapse_port61() {
    holds("pmi-collapse-port61");
}

#[test]
fn queued_as_tick_stops() {
    holds("queued-as-tick-stops");
}

#[test]
fn queued_for_others() {
    holds("queued-for-others");
}

#[test]
fn remove_while_called() {
    holds("remove-while-called");
}

#[test]
fn send_after_send() {
    holds("send-after-send");
}

#[test]
fn send_in_send() {
    holds("send-in-send");
}

#[test]
fn stop_and_pmi() {
    holds("stop-and-pmi");
}

#[test]
fn tick_stops() {
    holds("tick-stops");
}

#[test]
fn topa_twice() {
    holds("topa-twice");
}

#[test]
fn two_handlers() {
    holds("two-handlers");
}

#[test]
fn unknown_after_pmi() {
    holds("unknown-after-pmi");
}

#[test]
fn unmasked() {
    holds("unmasked");
}
