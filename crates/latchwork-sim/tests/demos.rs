// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each demo is true, and prints what `golden/demos/` has. The picture in `docs/src/` is what the
//! command writes. With `BLESS=1` in the environment, the tests write both anew.

use std::{env, fs, path::PathBuf};

use latchwork_sim::demo::{DEMOS, Demo, Performance};

/// Nobody reads a longer timeline.
const MOST_LINES: usize = 40;
const MOST_COLUMNS: usize = 110;

fn package(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn perform(name: &str) -> Performance {
    Demo::named(name).expect("a demo").perform().expect("it is true")
}

fn is_as_in(path: PathBuf, now: &str) {
    if env::var_os("BLESS").is_some() {
        fs::write(&path, now).expect("it can be written");
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(now, before, "see {}", path.display());
}

fn is_as_recorded(name: &str) {
    let text = perform(name).to_string();
    assert_eq!(text, perform(name).to_string(), "it is the same each time");
    is_as_in(package("tests/golden/demos").join(name).with_extension("txt"), &text);
    for line in text.lines() {
        assert!(line.chars().count() <= MOST_COLUMNS, "too wide: {line}");
    }
    let timelines: Vec<&str> = text.split("machine\n").skip(1).collect();
    assert_eq!(timelines.len(), 2, "the other policy's and ours");
    for timeline in timelines {
        let lines = timeline.split("\n\n").next().unwrap_or_default().lines().count();
        assert!((5..=MOST_LINES).contains(&lines), "{lines} lines");
    }
}

macro_rules! demos_are_as_recorded {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                is_as_recorded($name);
            }
        )*

        #[test]
        fn none_is_left_out() {
            let names: Vec<&str> = DEMOS.iter().map(|demo| demo.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

demos_are_as_recorded! {
    a_lost_nmi_is_recovered: "lost-nmi",
    the_nmi_that_looks_for_lost_ones_is_absorbed: "false-unknown",
    a_true_unknown_is_reported_once: "swallowed-unknown",
    all_that_share_a_pmi_are_asked: "shared-pmi",
    the_second_edge_of_a_stop_and_a_pmi_is_absorbed: "stop-drop",
}

#[test]
fn the_picture_in_the_readme_is_what_the_command_writes() {
    is_as_in(package("../../docs/src/lost-nmi.svg"), &perform("lost-nmi").svg());
}
