// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints on streams that may be closed, full or without a reader.
//!
//! The standard library's macros of these names panic on such a stream; these take their place in
//! this crate. Where there is no reader, xtask stops everything as if by SIGPIPE. It keeps any
//! other error, and ends the command as failed.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

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

/// Takes the first error of a print since the last call, if there was one.
pub fn take_failure() -> Option<io::Error> {
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn write(mut stream: impl Write, text: Arguments<'_>) {
    let Err(error) = stream.write_fmt(text).and_then(|()| stream.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        interruption::nobody_reads();
        return;
    }
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
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
