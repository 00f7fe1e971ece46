// SPDX-License-Identifier: MIT OR Apache-2.0
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::private_dir::PrivateDir;

pub(crate) const GREETING: &str =
    r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}}, "capabilities": []}}"#;
pub(crate) const DONE: &str = r#"{"return": {}}"#;
const EVENT: &str = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SOMETHING_NEW"}"#;

/// Listens at `socket` for one client, sends it the lines of `script`, each but the greeting after
/// a command of the client, and returns the commands. With an empty script it closes at once.
pub(crate) fn serve(socket: PathBuf, script: Vec<String>) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut commands = Vec::new();
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        for (number, lines) in script.iter().enumerate() {
            if number != 0 {
                let mut command = String::new();
                // A client that is gone sends nothing, which the test sees.
                reader.read_line(&mut command).expect("readable");
                commands.push(command.trim().to_owned());
            }
            // The client may have given up, as some tests want.
            drop((&stream).write_all(format!("{lines}\r\n").as_bytes()));
        }
        commands
    })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn press(script: &[&str], times: usize, deadline: Instant) -> (Result<(), QmpError>, Vec<String>) {
    let folder = PrivateDir::new().expect("a folder");
    let socket = folder.path().join("qmp");
    let server = serve(socket.clone(), script.iter().map(|&lines| lines.to_owned()).collect());
    let outcome = Qmp::connect(&socket, deadline)
        .and_then(|mut qmp| (0..times).try_for_each(|_| qmp.inject_nmi(deadline)));
    (outcome, server.join().expect("the server's commands"))
}

#[test]
fn each_press_is_one_command_after_the_negotiation() {
    let (outcome, commands) = press(&[GREETING, DONE, DONE, DONE], 2, soon());
    outcome.expect("pressed");
    let negotiation = r#"{"execute":"qmp_capabilities"}"#;
    let injection = r#"{"execute":"inject-nmi"}"#;
    assert_eq!(commands, [negotiation, injection, injection]);
}

#[test]
fn events_before_a_reply_are_no_reply() {
    let reply = format!("{EVENT}\r\n{EVENT}\r\n{DONE}");
    press(&[GREETING, &reply, &reply, &reply], 2, soon()).0.expect("pressed");
    let (outcome, _) = press(&[GREETING, DONE, EVENT], 1, soon());
    assert!(matches!(outcome, Err(QmpError::Closed)), "{outcome:?}");
}

#[test]
fn a_refusal_is_told_in_qemus_words() {
    let refusal =
        r#"{"error": {"class": "GenericError", "desc": "machine does not provide NMIs"}}"#;
    let (outcome, _) = press(&[GREETING, DONE, refusal], 1, soon());
    assert_eq!(
        outcome.expect_err("refused").to_string(),
        "QEMU refused `inject-nmi`: machine does not provide NMIs"
    );
}

#[test]
fn what_is_not_of_the_protocol_is_an_error() {
    for script in [&["hello"][..], &[DONE], &[GREETING, "{}"], &[GREETING, DONE, GREETING]] {
        let (outcome, _) = press(script, 1, soon());
        assert!(matches!(outcome, Err(QmpError::Strange { .. })), "{script:?}: {outcome:?}");
    }
}

#[test]
fn a_closed_connection_is_an_error_at_any_point() {
    for script in [&[][..], &[GREETING], &[GREETING, DONE], &[GREETING, DONE, DONE]] {
        let (outcome, _) = press(script, 2, soon());
        let closed = match &outcome {
            Err(QmpError::Closed) => true,
            // A write to a closed socket fails, and so does a read with an unread command under
            // way.
            Err(QmpError::Connection(error)) => {
                [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset].contains(&error.kind())
            }
            _ => false,
        };
        assert!(closed, "{script:?}: {outcome:?}");
    }
}

#[test]
fn silence_ends_at_the_deadline() {
    let folder = PrivateDir::new().expect("a folder");
    let socket = folder.path().join("qmp");
    let _silent = UnixListener::bind(&socket).expect("a socket");
    let outcome = Qmp::connect(&socket, Instant::now() + Duration::from_millis(50));
    assert!(matches!(outcome, Err(QmpError::Connection(_))), "{outcome:?}");
}

#[test]
fn no_socket_is_an_error() {
    let folder = PrivateDir::new().expect("a folder");
    let outcome = Qmp::connect(&folder.path().join("qmp"), soon());
    assert!(matches!(outcome, Err(QmpError::Connect(_))), "{outcome:?}");
}
