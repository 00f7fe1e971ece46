// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes that never outlive us, with their output and a time limit.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A child that is killed when this is dropped, and by the kernel when the thread that started it dies.
#[derive(Debug)]
pub(crate) struct Supervised(Child);

impl Supervised {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        // SAFETY: What runs between fork and exec makes one system call, which is async-signal-safe, and allocates nothing.
        unsafe { command.pre_exec(die_with_our_thread) };
        command.spawn().map(Self)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits for the child to end by itself; `None` if it does not by `deadline`.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the child if it still runs, and waits for it.
    pub(crate) fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.0.try_wait()? {
            return Ok(status);
        }
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // A child that cannot be killed is one that is already gone.
        drop(self.stop());
    }
}

/// Has the kernel kill this process when the thread that started it dies.
fn die_with_our_thread() -> io::Result<()> {
    // SAFETY: this option takes a signal number and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub(crate) struct Captured {
    /// `None`: it was killed at the time limit.
    pub(crate) status: Option<ExitStatus>,
    /// Standard output, then standard error.
    pub(crate) output: String,
}

/// Runs `command` to its end or to `limit`, capturing what it prints.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> io::Result<Captured> {
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Supervised::spawn(command)?;
    let stdout = process.child().stdout.take().map(collect);
    let stderr = process.child().stderr.take().map(collect);
    let status = process.wait_until(deadline)?;
    process.stop()?;
    let mut output = String::new();
    for reader in [stdout, stderr].into_iter().flatten() {
        output.push_str(&reader.join().unwrap_or_default());
    }
    Ok(Captured { status, output })
}

/// Reads `source` to its end on a thread of its own.
pub(crate) fn collect(mut source: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        drop(source.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Lines of a child's output as they come. A last line without a line end comes when the stream ends.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

/// What waiting for a line gave.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    Line(String),
    Silence,
    End,
}

/// A line longer than this is cut, so that a guest gone mad cannot fill our memory.
const MAX_LINE_BYTES: usize = 16 * 1024;

impl Lines {
    pub(crate) fn of(source: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1024);
        thread::spawn(move || split_lines(source, |line| sender.send(line).is_ok()));
        Self(receiver)
    }

    /// Waits for the next line for at most `limit`.
    pub(crate) fn next_within(&self, limit: Duration) -> Next {
        match self.0.recv_timeout(limit) {
            Ok(line) => Next::Line(line),
            Err(RecvTimeoutError::Timeout) => Next::Silence,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }
}

fn split_lines(mut source: impl Read, mut deliver: impl FnMut(String) -> bool) {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = source.read(&mut chunk) {
        for &byte in chunk.iter().take(count) {
            if byte != b'\n' {
                line.push(byte);
            }
            if (byte == b'\n' || line.len() >= MAX_LINE_BYTES) && !deliver(take_text(&mut line)) {
                return;
            }
        }
    }
    if !line.is_empty() {
        deliver(take_text(&mut line));
    }
}

fn take_text(line: &mut Vec<u8>) -> String {
    let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
    line.clear();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(input: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        split_lines(input, |line| {
            lines.push(line);
            true
        });
        lines
    }

    #[test]
    fn lines_lose_their_ends_and_the_last_needs_none() {
        assert_eq!(split(b"one\r\ntwo\n\nthree"), ["one", "two", "", "three"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(split(b"a\xffb\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn endless_lines_are_cut() {
        let lines = split(&vec![b'x'; MAX_LINE_BYTES + 1]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE_BYTES, 1]);
    }

    #[test]
    fn a_command_is_killed_at_its_limit() {
        let started = Instant::now();
        let captured = capture(Command::new("sleep").arg("60"), Duration::from_millis(50))
            .expect("sleep runs");
        assert!(captured.status.is_none());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn both_streams_and_the_status_are_captured() {
        let script = "echo out; echo err >&2; exit 3";
        let captured = capture(Command::new("sh").args(["-c", script]), Duration::from_secs(30))
            .expect("sh runs");
        assert_eq!(captured.status.and_then(|status| status.code()), Some(3));
        assert_eq!(captured.output, "out\nerr\n");
    }
}
