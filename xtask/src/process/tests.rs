// SPDX-License-Identifier: MIT OR Apache-2.0
//! Children that are shell scripts.

use super::*;

#[test]
fn a_command_is_killed_at_its_limit() {
    let started = Instant::now();
    let captured =
        capture(Command::new("sleep").arg("60"), Duration::from_millis(50)).expect("sleep runs");
    assert!(captured.status.is_none());
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn both_streams_and_the_status_are_captured() {
    let script = "echo out; echo err >&2; exit 3";
    let captured =
        capture(Command::new("sh").args(["-c", script]), Duration::from_secs(30)).expect("sh runs");
    assert_eq!(captured.status.and_then(|status| status.code()), Some(3));
    assert_eq!(captured.output, "out\nerr\n");
    let mut command = Command::new("sh");
    let output = output(command.args(["-c", script]).stderr(Stdio::piped())).expect("sh runs");
    assert_eq!(
        (output.status.code(), &*output.stdout, &*output.stderr),
        (Some(3), &b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(status(Command::new("sh").args(["-c", "exit 4"])).expect("sh runs").code(), Some(4));
}

#[test]
fn what_a_wrapper_has_started_is_killed_with_it() {
    // Both sleepers hold the pipe open: it ends when neither is there any more.
    let script = "sleep 60 & sleep 60; true";
    let started = Instant::now();
    let captured = capture(Command::new("sh").args(["-c", script]), Duration::from_millis(100))
        .expect("sh runs");
    assert!(captured.status.is_none());
    let abandoned = "sleep 60 & exit 0";
    let captured = capture(Command::new("sh").args(["-c", abandoned]), Duration::from_secs(30))
        .expect("sh runs");
    assert!(captured.status.is_some_and(|status| status.success()));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_end_can_be_waited_for_and_asked_for_again() {
    let mut process = Supervised::spawn(Command::new("sh").args(["-c", "exit 5"])).expect("runs");
    assert_eq!(process.wait().expect("it ends").code(), Some(5));
    assert_eq!(process.stop().expect("it ended").code(), Some(5));
    let ended = process.wait_until(Instant::now()).expect("it ended");
    assert_eq!(ended.and_then(|status| status.code()), Some(5));
}
