// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of what happened, in words. CPUs write lines in NMIs too, so each line has a place of
//! its own.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// How many lines there may be.
const LINES: usize = 400;

/// How long a line may be.
const BYTES: usize = 64;

/// One line, ended by a 0 if it is shorter.
#[derive(Debug)]
struct Line([AtomicU8; BYTES]);

/// What happened, line by line. The CPU that has its turn writes it; it is read when no CPU has
/// one. The hand-over orders all accesses.
#[derive(Debug)]
pub(crate) struct Log {
    lines: [Line; LINES],
    len: AtomicUsize,
    torn: AtomicUsize,
}

/// Writes to a line.
struct Pen<'a> {
    line: &'a Line,
    at: usize,
}

impl Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.line.0.get(self.at).ok_or(fmt::Error)?.store(byte, Ordering::Relaxed);
            self.at += 1;
        }
        Ok(())
    }
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self {
            lines: [const { Line([const { AtomicU8::new(0) }; BYTES]) }; LINES],
            len: AtomicUsize::new(0),
            torn: AtomicUsize::new(0),
        }
    }

    /// Forgets all lines.
    pub(crate) fn clear(&self) {
        self.len.store(0, Ordering::Relaxed);
        self.torn.store(0, Ordering::Relaxed);
    }

    /// Notes a line. NMI-safe.
    pub(crate) fn note(&self, text: fmt::Arguments<'_>) {
        let place = self.len.fetch_add(1, Ordering::Relaxed);
        let whole = self.lines.get(place).is_some_and(|line| {
            let mut pen = Pen { line, at: 0 };
            let whole = pen.write_fmt(text).is_ok();
            if let Some(end) = line.0.get(pen.at) {
                end.store(0, Ordering::Relaxed);
            }
            whole
        });
        if !whole {
            self.torn.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines did not find room.
    pub(crate) fn torn(&self) -> usize {
        self.torn.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len.load(Ordering::Relaxed);
        for (number, line) in self.lines.iter().take(len).enumerate() {
            if number != 0 {
                f.write_str("; ")?;
            }
            let bytes = line.0.iter().map(|byte| byte.load(Ordering::Relaxed));
            for byte in bytes.take_while(|byte| *byte != 0) {
                f.write_char(char::from(byte))?;
            }
        }
        Ok(())
    }
}
