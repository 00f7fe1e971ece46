// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our policy holds every property in every execution of these scenarios, in both recovery modes. They are
//! those whose searches end in seconds; `cargo xtask explore` searches the others.

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

macro_rules! ours_hold {
    ($($test:ident: $scenario:literal,)*) => {
        $(#[test]
        fn $test() {
            holds($scenario);
        })*
    };
}

ours_hold! {
    clock_reset: "clock-reset",
    parked_for_long: "parked-for-long",
    pmi_collapse_port61: "pmi-collapse-port61",
    queued_as_tick_stops: "queued-as-tick-stops",
    queued_for_others: "queued-for-others",
    remove_while_called: "remove-while-called",
    send_in_send: "send-in-send",
    stop_and_pmi: "stop-and-pmi",
    tick_stops: "tick-stops",
    topa_twice: "topa-twice",
    unknown_after_pmi: "unknown-after-pmi",
    unmasked: "unmasked",
}
