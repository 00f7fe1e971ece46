// SPDX-License-Identifier: MIT OR Apache-2.0
//! A demo that would not be true fails.

use super::{Demo, Instead};
use crate::{
    engine::Property,
    policy::{Policy, baselines},
};

fn lost_nmi() -> Demo {
    *Demo::named("lost-nmi").expect("a demo")
}

fn failure(demo: Demo) -> String {
    demo.perform().expect_err("it is not true")
}

#[test]
fn a_baseline_that_keeps_its_property_is_no_story() {
    let failure = failure(Demo { breaks: Property::N3, ..lost_nmi() });
    assert_eq!(failure, "`linux` does not break N3 in lost-nmi");
}

#[test]
fn a_policy_that_breaks_anything_is_not_shown_as_ours() {
    let linux = || -> Box<dyn Policy> { (baselines()[0].policy)() };
    let failure = lost_nmi().perform_with(&linux).expect_err("Linux is not ours");
    assert!(failure.starts_with("`linux` breaks a property in lost-nmi: L: "), "{failure}");
}

#[test]
fn what_ours_does_is_looked_for() {
    let failure = failure(Demo { instead: Instead::Absorbs, ..lost_nmi() });
    assert_eq!(failure, "Latchwork does not do this: Absorbs");
}

#[test]
fn a_cue_that_cannot_be_given_is_noticed() {
    let demo = lost_nmi();
    let twice: &'static [_] = Box::leak([demo.cues, demo.cues].concat().into_boxed_slice());
    let failure = failure(Demo { cues: twice, ..demo });
    assert_eq!(failure, "`linux` does not break L in lost-nmi");
}
