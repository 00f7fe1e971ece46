// SPDX-License-Identifier: MIT OR Apache-2.0
use std::path::Path;

use super::*;
use crate::guest::boot::{Controls, Deaf, Limits, run};
use crate::machine::{Apic, Clock, MachineType};

const TO_END: Boot = Boot { policy: "report", expect_stop: false, words: "" };
const TO_STOP: Boot = Boot { policy: "panic", expect_stop: true, words: "" };
const MACHINE: Machine = Machine {
    machine_type: MachineType::Q35,
    cpus: 2,
    apic: Apic::Xapic,
    clock: Clock::Deterministic,
};

const GREETING: &str = r#"echo '@latchwork {"event":"machine","machine":"q35","cpus":2,"apic":"xapic","kernel_target":"t"}'"#;
const HELD: &str =
    r#"echo '@latchwork {"event":"check","name":"a","held":true,"expected":"1","saw":"1"}'"#;
const BROKEN: &str =
    r#"echo '@latchwork {"event":"check","name":"b","held":false,"expected":"1","saw":"0"}'"#;
const TOTALS: &str = r#"echo '@latchwork {"event":"totals","nmis":3,"claimed":2,"absorbed":1,"unknown":0,"lost":0}'"#;
const END: &str = r#"echo '@latchwork {"event":"end"}'"#;
const REPORT: &str = "echo 'unknown NMI on CPU 1, IP 0xffff'";
const STOPPED: &str = r#"echo '@latchwork {"event":"stopped","reason":"unknown NMI"}'"#;

const NO_KERNEL: &str = "/no/such/kernel";

/// A guest made of shell lines.
fn guest(lines: &[&str]) -> Transcript {
    let argv = ["sh", "-c", &lines.join("\n")].map(str::to_owned);
    let limits = Limits::from_silence_s(30);
    run(&argv, Path::new(NO_KERNEL), &mut Controls::Nothing, limits, &mut Deaf).expect("sh runs")
}

fn verdict(boot: &'static Boot, lines: &[&str]) -> ScenarioOutcome {
    let heard = guest(lines);
    merge("s", vec![(boot, judge(boot, MACHINE, &heard), heard)])
}

fn failed(outcome: &ScenarioOutcome) -> Vec<&str> {
    assert_eq!(outcome.report.held, outcome.report.checks.iter().all(|check| check.held));
    outcome
        .report
        .checks
        .iter()
        .filter(|check| !check.held)
        .map(|check| check.name.as_str())
        .collect()
}

#[test]
fn a_complete_boot_holds() {
    let outcome = verdict(&TO_END, &[GREETING, HELD, TOTALS, END, "exit 33"]);
    assert!(outcome.report.held, "{outcome:?}");
    assert_eq!(outcome.report.totals.nmis, 3);
    assert!(outcome.breakages.is_empty() && outcome.tails.is_empty());
}

#[test]
fn a_failed_check_is_no_breakage() {
    let outcome = verdict(&TO_END, &[GREETING, HELD, BROKEN, TOTALS, END, "exit 33"]);
    assert_eq!(failed(&outcome), ["b"]);
    assert!(outcome.breakages.is_empty());
    assert!(outcome.tails[0].contains(r#""name":"b""#));
}

#[test]
fn whatever_is_missing_breaks_the_boot() {
    let whole = [GREETING, HELD, TOTALS, END, "exit 33"];
    for (missing, check) in [
        (0, "machine-as-asked"),
        (1, "scenario-complete"),
        (2, "scenario-complete"),
        (3, "scenario-complete"),
    ] {
        let lines: Vec<_> = whole
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, line)| *line)
            .collect();
        let outcome = verdict(&TO_END, &lines);
        assert_eq!(failed(&outcome), [check], "without {}", whole[missing]);
        assert_eq!(outcome.breakages, [Breakage::OutOfOrder]);
    }
}

#[test]
fn a_machine_other_than_asked_for_is_told() {
    for (asked, other) in [(":2", ":1"), ("xapic", "x2apic"), ("q35", "pc"), ("q35", "unknown")] {
        let greeting = GREETING.replace(asked, other);
        let outcome = verdict(&TO_END, &[&greeting, HELD, TOTALS, END, "exit 33"]);
        assert_eq!(failed(&outcome), ["machine-as-asked"], "{greeting}");
    }
}

#[test]
fn a_damaged_record_is_told() {
    let outcome =
        verdict(&TO_END, &[GREETING, HELD, "echo '@latchwork {\"ev'", TOTALS, END, "exit 33"]);
    assert_eq!(failed(&outcome), ["records-readable"]);
}

#[test]
fn panics_triple_faults_and_emulator_errors_are_told_apart() {
    for (lines, check, breakage) in [
        (["echo 'PANIC at x.rs:1: boom'", "exit 35"], "guest-panicked", Breakage::Panicked),
        (["true", "exit 0"], "guest-triple-faulted", Breakage::TripleFaulted),
        (
            ["echo 'qemu: terminating on signal 15' >&2", "exit 0"],
            "emulator-ended-in-order",
            Breakage::OutOfOrder,
        ),
        (
            ["echo 'qemu: no such option' >&2", "exit 1"],
            "emulator-ended-in-order",
            Breakage::OutOfOrder,
        ),
        (["kill -SEGV $$", "true"], "emulator-ended-in-order", Breakage::OutOfOrder),
    ] {
        let outcome = verdict(&TO_END, &[GREETING, lines[0], lines[1]]);
        assert_eq!(
            (failed(&outcome), &outcome.breakages[..]),
            (vec![check], &[breakage][..]),
            "{lines:?}"
        );
    }
    let panicked = verdict(&TO_END, &[GREETING, "echo 'PANIC at x.rs:1: boom'", "exit 35"]);
    assert!(panicked.report.checks.iter().any(|check| check.saw == "at x.rs:1: boom"));
}

#[test]
fn a_hang_is_told() {
    let argv = ["sh", "-c", &format!("{GREETING}; exec sleep 60")].map(str::to_owned);
    let limits =
        Limits { silence: std::time::Duration::from_millis(300), ..Limits::from_silence_s(30) };
    let heard = run(&argv, Path::new(NO_KERNEL), &mut Controls::Nothing, limits, &mut Deaf)
        .expect("sh runs");
    let outcome = merge("s", vec![(&TO_END, judge(&TO_END, MACHINE, &heard), heard)]);
    assert_eq!(
        (failed(&outcome), &outcome.breakages[..]),
        (vec!["guest-hung"], &[Breakage::Hung][..])
    );
    let saw = outcome.report.checks.into_iter().find(|check| !check.held).expect("one").saw;
    assert_eq!(saw, "no output for 0 s");
}

#[test]
fn an_ask_that_is_not_answered_is_told_unless_the_guest_broke_by_itself() {
    let ask = r#"echo '@latchwork {"event":"ask","press":1}'"#;
    for end in ["exit 33", "exit 37", "exec sleep 60"] {
        let outcome = verdict(&TO_END, &[GREETING, HELD, ask, TOTALS, END, end]);
        assert_eq!(failed(&outcome), ["asks-answered"], "{end}");
        assert_eq!(outcome.breakages, [Breakage::OutOfOrder]);
        assert!(outcome.report.checks.iter().any(|check| check.saw.contains("no button")));
    }
    let panicked = verdict(&TO_END, &[GREETING, HELD, ask, "echo 'PANIC boom'", "exit 35"]);
    assert_eq!(failed(&panicked), ["guest-panicked"]);
    assert_eq!(panicked.breakages, [Breakage::Panicked]);
}

#[test]
fn a_boot_that_must_stop_holds_only_by_stopping_readably() {
    let stop = |lines: &[&str]| verdict(&TO_STOP, lines);
    assert!(stop(&[GREETING, REPORT, STOPPED, "exit 37"]).report.held);
    for lines in [
        vec![GREETING, STOPPED, "exit 37"],
        vec![GREETING, REPORT, "exit 37"],
        vec![GREETING, REPORT, STOPPED, "exit 33"],
        vec![GREETING, HELD, TOTALS, END, "exit 33"],
    ] {
        let outcome = stop(&lines);
        assert_eq!(
            (failed(&outcome), outcome.breakages.len()),
            (vec!["stopped-by-policy"], 0),
            "{lines:?}"
        );
    }
}

#[test]
fn a_boot_that_must_not_stop_breaks_by_stopping() {
    let outcome = verdict(&TO_END, &[GREETING, HELD, TOTALS, REPORT, STOPPED, "exit 37"]);
    assert_eq!(failed(&outcome), ["scenario-complete"]);
}

#[test]
fn boots_are_merged_and_clashing_checks_told_apart() {
    let first = guest(&[GREETING, HELD, TOTALS, END, "exit 33"]);
    let second = guest(&[GREETING, TOTALS, BROKEN, REPORT, STOPPED, "exit 37"]);
    let boots = vec![
        (&TO_END, judge(&TO_END, MACHINE, &first), first),
        (&TO_STOP, judge(&TO_STOP, MACHINE, &second), second),
    ];
    let outcome = merge("s", boots);
    let names: Vec<_> = outcome.report.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        ["a", "report: machine-as-asked", "b", "panic: machine-as-asked", "stopped-by-policy"]
    );
    assert_eq!(failed(&outcome), ["b"]);
    assert_eq!((outcome.report.totals.nmis, outcome.tails.len()), (6, 1));
    assert_eq!(
        outcome.report.boots,
        [
            BootReport { policy: "report", words: "", held: true },
            BootReport { policy: "panic", words: "", held: false }
        ]
    );
}

#[test]
fn boots_with_one_policy_are_told_apart_by_their_words() {
    const OPEN: Boot = Boot { policy: "report", expect_stop: false, words: "lint1=all" };
    const SHUT: Boot = Boot { policy: "report", expect_stop: false, words: "lint1=boot-cpu" };
    let boots = [&OPEN, &SHUT].map(|boot| {
        let heard = guest(&[GREETING, BROKEN, TOTALS, END, "exit 33"]);
        (boot, judge(boot, MACHINE, &heard), heard)
    });
    let outcome = merge("s", Vec::from(boots));
    assert_eq!(failed(&outcome), ["report lint1=all: b", "report lint1=boot-cpu: b"]);
    assert!(
        outcome.tails[1]
            .starts_with("--- the last serial lines of s (policy report lint1=boot-cpu) ---\n")
    );
}
