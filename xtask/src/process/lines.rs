// SPDX-License-Identifier: MIT OR Apache-2.0
//! A child's output, line by line as it comes.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Lines of a child's output as they come. A last line without a line end comes when the stream
/// ends.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

/// The result of waiting for a line.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    Line(String),
    Silence,
    End,
}

/// The length at which lines are cut, so that a runaway guest cannot fill our memory.
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
}
