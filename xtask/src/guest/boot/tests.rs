// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots of guests that are shell scripts.

use super::*;
use crate::guest::button::tests::button_that_works;

const NO_KERNEL: &str = "/no/such/kernel";

fn guest(script: &str, limits: Limits) -> Transcript {
    let argv = ["sh", "-c", script].map(str::to_owned);
    run(&argv, Path::new(NO_KERNEL), &mut Controls::Nothing, limits, &mut Deaf).expect("sh runs")
}

fn exit_code(transcript: &Transcript) -> Option<i32> {
    match &transcript.ending {
        Ending::Exited(status) => status.code(),
        Ending::GivenUp { .. } => None,
    }
}

#[test]
fn a_guest_in_order_is_heard_to_its_end() {
    let script = r#"
        echo 'hello'
        echo '@latchwork {"event":"machine","machine":"q35","cpus":2,"apic":"xapic","kernel_target":"t"}'
        echo '@latchwork {"event":"check","name":"a","held":true,"expected":"1","saw":"1"}'
        echo '@latchwork {"event":"totals","nmis":1,"claimed":1,"absorbed":0,"unknown":0,"lost":0}'
        echo '@latchwork {"event":"end"}'
        exit 33"#;
    let heard = guest(script, Limits::from_silence_s(30));
    assert_eq!(exit_code(&heard), Some(33));
    assert_eq!(heard.machine.as_ref().map(|machine| machine.cpus), Some(2));
    assert_eq!(
        (heard.checks.len(), heard.totals.map(|totals| totals.nmis), heard.ended),
        (1, Some(1), true)
    );
    assert_eq!(heard.tail.front().map(String::as_str), Some("hello"));
}

#[test]
fn a_guest_whose_machine_nothing_ends_is_over_at_its_end_record() {
    let limits = Limits { over_at_end_record: true, ..Limits::from_silence_s(30) };
    let heard = guest(r#"echo '@latchwork {"event":"end"}'; exec sleep 60"#, limits);
    assert!(heard.ended && matches!(heard.ending, Ending::Exited(_)), "{heard:?}");
}

#[test]
fn a_silent_guest_is_given_up_and_its_unfinished_line_kept() {
    let limits = Limits {
        silence: Duration::from_millis(300),
        total: Duration::from_secs(60),
        ..Limits::from_silence_s(1)
    };
    let heard = guest("echo first; printf unfinished; exec sleep 60", limits);
    assert!(
        matches!(&heard.ending, Ending::GivenUp { why } if why.starts_with("no output")),
        "{heard:?}"
    );
    assert_eq!(heard.tail, ["first", "unfinished"]);
}

#[test]
fn the_monitor_of_a_silent_guest_is_asked_where_it_stands() {
    let argv = ["sh", "-c", "exec sleep 60"].map(str::to_owned);
    let limits = Limits { silence: Duration::from_millis(300), ..Limits::from_silence_s(30) };
    let mut controls = Controls::Monitor(Monitor::new().expect("a folder"));
    let heard =
        run(&argv, Path::new(NO_KERNEL), &mut controls, limits, &mut Deaf).expect("sh runs");
    let Ending::GivenUp { why } = heard.ending else {
        panic!("{heard:?}");
    };
    assert!(why.starts_with("no output for 0 s; where its CPUs stand cannot be told: "), "{why}");
}

#[test]
fn a_guest_that_babbles_for_ever_is_given_up() {
    let limits = Limits {
        silence: Duration::from_secs(30),
        total: Duration::from_millis(500),
        ..Limits::from_silence_s(1)
    };
    let heard = guest("while :; do echo on and on; done", limits);
    assert!(
        matches!(&heard.ending, Ending::GivenUp { why } if why.starts_with("not over")),
        "{heard:?}"
    );
    assert_eq!(heard.tail.len(), TAIL_LINES);
}

#[test]
fn an_ask_is_answered_after_the_last_press() {
    // The guest takes just one byte at a time, and would wait for ever for a missing one.
    let script = r#"
        echo '@latchwork {"event":"ask","press":2}'
        echo "got $(head -c 1)"
        echo '@latchwork {"event":"ask","press":1}'
        echo "got $(head -c 1)"
        exit 33"#;
    let (button, monitor) = button_that_works(3);
    let argv = ["sh", "-c", script].map(str::to_owned);
    let limits = Limits::from_silence_s(30);
    let mut controls = Controls::Button(button);
    let heard =
        run(&argv, Path::new(NO_KERNEL), &mut controls, limits, &mut Deaf).expect("sh runs");
    assert_eq!((exit_code(&heard), &heard.unanswered), (Some(33), &None));
    assert_eq!(heard.tail.iter().filter(|line| *line == "got .").count(), 2);
    assert_eq!(monitor.join().expect("its commands").len(), 4);
}

#[test]
fn a_guest_that_cannot_be_given_what_it_asks_for_is_given_up() {
    let script = r#"echo '@latchwork {"event":"ask","press":4}'; exec cat"#;
    let (button, _monitor) = button_that_works(3);
    let argv = ["sh", "-c", script].map(str::to_owned);
    let limits = Limits::from_silence_s(30);
    let mut controls = Controls::Button(button);
    let heard =
        run(&argv, Path::new(NO_KERNEL), &mut controls, limits, &mut Deaf).expect("sh runs");
    assert!(matches!(heard.ending, Ending::GivenUp { .. }), "{heard:?}");
    assert!(heard.unanswered.is_some_and(|why| why.starts_with("press 4 of 4: ")));
}

#[test]
fn a_guest_that_ends_while_it_is_answered_keeps_its_status() {
    let script = r#"echo '@latchwork {"event":"ask","press":1}'; exit 35"#;
    let heard = guest(script, Limits::from_silence_s(30));
    assert_eq!(exit_code(&heard), Some(35));
    assert!(heard.unanswered.is_some_and(|why| why.starts_with("there is no button")));
}

#[test]
fn the_report_is_what_came_before_the_stop() {
    let script = r#"
        echo 'NMI received for unknown reason on CPU 1'
        echo '@latchwork {"event":"progress","done":1,"of":2}'
        echo '@latchwork {"event":"stopped","reason":"unknown NMI"}'
        echo 'after'
        exit 37"#;
    let heard = guest(script, Limits::from_silence_s(30));
    assert_eq!(heard.stopped.as_deref(), Some("unknown NMI"));
    assert_eq!(heard.report, ["NMI received for unknown reason on CPU 1"]);
}

#[test]
fn damaged_records_and_the_emulators_messages_are_kept() {
    let heard =
        guest("echo 'x @latchwork {}'; echo broken >&2; exit 1", Limits::from_silence_s(30));
    assert_eq!(heard.unreadable, ["x @latchwork {}"]);
    assert_eq!(heard.emulator_messages, "broken\n");
}
