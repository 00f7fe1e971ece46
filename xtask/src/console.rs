// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints on streams that may be closed, full or without a reader.
//!
//! The standard library's macros of these names panic on such a stream; these take their place in
//! this crate. Where there is no reader, xtask stops everything as if by SIGPIPE. It keeps any
//! other error, and ends the command as failed.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::process::interruption;

/// The first error of a print.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints on standard output.
pub fn print(text: Arguments<'_>) {
    write(io::stdout().lock(), text);
}

/// Prints on standard error.
pub fn note(text: Arguments<'_>) {
    write(io::stderr().lock(), text);
}

/// Prints on standard output what `source` says until it ends. False: some could not be printed.
///
/// # Errors
///
/// When `source` cannot be read.
pub(crate) fn relay(mut source: impl Read) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    loop {
        let said = match source.read(&mut bytes) {
            Ok(0) => return Ok(true),
            Ok(length) => bytes.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut stream = io::stdout().lock();
        if !keep(stream.write_all(said).and_then(|()| stream.flush())) {
            return Ok(false);
        }
    }
}

/// Keeps the error of something that was printed by other means. True: there is none.
pub fn keep(printed: io::Result<()>) -> bool {
    let Err(error) = printed else { return true };
    if error.kind() == ErrorKind::BrokenPipe {
        interruption::nobody_reads();
    } else {
        failure().get_or_insert(error);
    }
    false
}

/// Whether some of the result could not be printed.
pub(crate) fn has_failed() -> bool {
    failure().is_some()
}

/// Takes the first error of a print since the last call, if there was one.
pub fn take_failure() -> Option<io::Error> {
    failure().take()
}

fn write(mut stream: impl Write, text: Arguments<'_>) {
    keep(stream.write_fmt(text).and_then(|()| stream.flush()));
}

fn failure() -> MutexGuard<'static, Option<io::Error>> {
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner)
}

macro_rules! print {
    ($($words:tt)*) => { $crate::console::print(format_args!($($words)*)) };
}

macro_rules! println {
    () => { $crate::console::print(format_args!("\n")) };
    ($($words:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($words)*)))
    };
}

macro_rules! eprint {
    ($($words:tt)*) => { $crate::console::note(format_args!($($words)*)) };
}

macro_rules! eprintln {
    () => { $crate::console::note(format_args!("\n")) };
    ($($words:tt)*) => {
        $crate::console::note(format_args!("{}\n", format_args!($($words)*)))
    };
}
