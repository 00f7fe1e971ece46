// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of the QEMU Machine Protocol that presses a button and asks the human monitor (QEMU
//! documentation, "QEMU Machine Protocol Specification").
//!
//! The crate `qapi` speaks all of it, but knows only the events of one QEMU release, takes an event
//! of another for a broken reply, and panics if a connection ends before the greeting. For two
//! commands, this module is less to trust.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

/// No message is longer than this: the longest has the registers of eight CPUs, some thousand bytes
/// each.
const MAX_MESSAGE_BYTES: u64 = 256 * 1024;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum QmpError {
    /// The socket cannot be reached.
    #[error("QEMU's monitor cannot be reached: {0}")]
    Connect(io::Error),
    /// Reading or writing failed, or took longer than was allowed.
    #[error("the connection to QEMU's monitor failed: {0}")]
    Connection(#[from] io::Error),
    /// QEMU closed the connection.
    #[error("QEMU's monitor closed the connection")]
    Closed,
    /// QEMU refused the command.
    #[error("QEMU refused `{command}`: {words}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's words.
        words: String,
    },
    /// QEMU's message breaks the protocol.
    #[error("QEMU's monitor sent what is no {expected}: {message}")]
    Strange {
        /// What should have come.
        expected: &'static str,
        /// What came.
        message: String,
    },
}

/// A connection to a running QEMU, ready for commands.
#[derive(Debug)]
pub(crate) struct Qmp {
    stream: BufReader<UnixStream>,
}

/// One message. Of each, exactly one field is there.
#[derive(Debug, Default, Deserialize)]
struct Message {
    #[serde(rename = "QMP")]
    greeting: Option<Value>,
    #[serde(rename = "return")]
    done: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    desc: String,
}

impl Qmp {
    /// Connects to the monitor at `socket` and leaves its negotiation mode.
    pub(crate) fn connect(socket: &Path, deadline: Instant) -> Result<Self, QmpError> {
        let stream = UnixStream::connect(socket).map_err(QmpError::Connect)?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        let (text, greeting) = qmp.message("greeting", deadline)?;
        if greeting.greeting.is_none() {
            return Err(QmpError::Strange { expected: "greeting", message: text });
        }
        qmp.execute("qmp_capabilities", Value::Null, deadline)?;
        Ok(qmp)
    }

    /// Presses the machine's NMI button once; when this returns, QEMU has done it.
    pub(crate) fn inject_nmi(&mut self, deadline: Instant) -> Result<(), QmpError> {
        self.execute("inject-nmi", Value::Null, deadline).map(|_| ())
    }

    /// What the human monitor says to `line`.
    pub(crate) fn human(&mut self, line: &str, deadline: Instant) -> Result<String, QmpError> {
        let command = "human-monitor-command";
        let said = self.execute(command, json!({ "command-line": line }), deadline)?;
        let strange = || QmpError::Strange { expected: "text", message: said.to_string() };
        said.as_str().map(str::to_owned).ok_or_else(strange)
    }

    /// Sends a command and waits for its reply. Passes over events, which come at any time.
    fn execute(
        &mut self,
        command: &'static str,
        arguments: Value,
        deadline: Instant,
    ) -> Result<Value, QmpError> {
        let socket = self.stream.get_mut();
        socket.set_write_timeout(Some(time_until(deadline)?))?;
        let mut message = json!({ "execute": command });
        if !arguments.is_null() {
            message["arguments"] = arguments;
        }
        socket.write_all(format!("{message}\r\n").as_bytes())?;
        loop {
            let (text, reply) = self.message("reply", deadline)?;
            match reply {
                Message { done: Some(done), .. } => return Ok(done),
                Message { error: Some(Refusal { desc: words }), .. } => {
                    return Err(QmpError::Refused { command, words });
                }
                Message { event: Some(_), .. } => {}
                _ => return Err(QmpError::Strange { expected: "reply", message: text }),
            }
        }
    }

    /// The next line, as text and parsed.
    fn message(
        &mut self,
        expected: &'static str,
        deadline: Instant,
    ) -> Result<(String, Message), QmpError> {
        self.stream.get_mut().set_read_timeout(Some(time_until(deadline)?))?;
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_MESSAGE_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(QmpError::Closed);
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        match serde_json::from_str(&text) {
            Ok(message) => Ok((text, message)),
            Err(_) => Err(QmpError::Strange { expected, message: text }),
        }
    }
}

/// The time left until `deadline`, never 0, which a socket takes for "for ever".
fn time_until(deadline: Instant) -> io::Result<std::time::Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        left if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

#[cfg(test)]
pub(crate) mod tests;
