// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each baseline breaks what it is known to break, in the scenario that shows it, and nothing else
//! there. `golden/` has the shortest execution that shows it; with `BLESS=1` in the environment,
//! the test writes it anew.

use std::{env, fs, path::Path};

use latchwork_sim::{
    engine::{Counterexample, Detail, Property, Verdict},
    policy::{Baseline, baselines},
    run::Setting,
    scenario::{Extent, Scenario},
};

const PROPERTIES: [Property; 10] = [
    Property::L,
    Property::N1,
    Property::N2,
    Property::N3,
    Property::C,
    Property::W,
    Property::Q,
    Property::D,
    Property::Deadlock,
    Property::Panic,
];

fn scenario(baseline: &Baseline, name: &str) -> &'static Scenario {
    let scenario = Scenario::named(name).expect("a scenario");
    let policy = (baseline.policy)();
    assert_eq!(policy.name(), baseline.name);
    assert!(scenario.suits(&*policy), "{} cannot do what {name} asks of it", baseline.name);
    scenario
}

/// Every property that the baseline breaks: each search leaves out those that were broken before.
fn broken(baseline: &Baseline, scenario: &'static Scenario) -> Vec<Property> {
    let mut held = PROPERTIES.to_vec();
    let mut broken = Vec::new();
    loop {
        let whole = Setting::new(scenario, Extent::Exhaustive, &baseline.policy);
        let report = Setting { properties: &held, ..whole }.exhaust(&scenario.bounds());
        match report.verdict {
            Verdict::Held => return broken,
            Verdict::Unfinished(limit) => panic!("not all was seen: {limit}"),
            Verdict::Violated(found) => {
                let property = found.violation.property;
                let place = held.iter().position(|one| *one == property);
                held.swap_remove(place.expect("it is broken once"));
                broken.push(property);
            }
        }
    }
}

/// The shortest execution found in which the baseline breaks its first property, with its timeline.
fn story(baseline: &Baseline, scenario: &'static Scenario) -> String {
    let bounds = scenario.bounds();
    let whole = Setting::new(scenario, Extent::Exhaustive, &baseline.policy);
    let setting = Setting { properties: &baseline.breaks[..1], ..whole };
    let report = setting.exhaust(&bounds);
    let found = report.verdict.counterexample().expect("it is broken");
    let Counterexample { violation, trace, .. } = setting.minimise(&bounds, found);
    let replay = setting.replay(&bounds, &trace, Detail::Notes);
    assert_eq!((replay.violation.as_ref(), replay.strayed), (Some(&violation), None));
    let (name, scenario) = (baseline.name, scenario.name);
    format!("{name} in {scenario}\n{trace}\n{violation}\n\n{}", replay.timeline)
}

fn breaks_as_it_is_known_to(name: &str) {
    let baseline = baselines().iter().find(|baseline| baseline.name == name).expect("a baseline");
    assert_eq!(broken(baseline, scenario(baseline, baseline.holds_in)), []);
    let scenario = scenario(baseline, baseline.scenario);
    let mut broken = broken(baseline, scenario);
    let mut known = baseline.breaks.to_vec();
    broken.sort();
    known.sort();
    assert_eq!(broken, known);

    let story = story(baseline, scenario);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let golden = golden.join(name).with_extension("txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&golden, &story).expect("it can be written");
    }
    let recorded = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(story, recorded, "see {}", golden.display());
}

macro_rules! baselines_break {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                breaks_as_it_is_known_to($name);
            }
        )*

        #[test]
        fn none_is_left_out() {
            let names: Vec<&str> = baselines().iter().map(|baseline| baseline.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

baselines_break! {
    linux_strands_what_collapses_into_a_pmi: "linux",
    linux_on_amd_swallows_true_unknowns: "linux-amd-100ms",
    linux_2014_swallows_a_true_unknown_for_its_dummy: "linux-2014-posted",
    linux_2014_reports_an_edge_whose_event_its_dummy_has_found: "linux-2014-intended",
    freebsd_calls_a_handler_after_its_removal: "freebsd-landed",
    freebsd_loses_a_pmi_behind_the_first_claim: "freebsd-first-claim",
    freebsd_takes_its_own_stop_for_unknown: "freebsd-stop-inverted",
    freebsd_claims_twice_in_one_nmi: "freebsd-stop-double",
    freebsd_acknowledges_a_status_that_has_rung_again: "freebsd-late-topa",
    call_all_reports_the_second_edge: "call-all",
    credit_of_one_does_not_cover_three_claims: "credit-cap-one",
}
