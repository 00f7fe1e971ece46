// SPDX-License-Identifier: MIT OR Apache-2.0
//! What we print, on streams that may be closed, full or read by nobody.
//!
//! The standard library's macros of these names panic then; these take their place in this crate.
//! Where nobody reads any more, everything is stopped as if by SIGPIPE. Any other error is kept,
//! and ends the command as failed.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use crate::process::interruption;

/// The first error by which something could not be printed.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints on standard output.
pub fn print(text: Arguments<'_>) {
    write(io::stdout().lock(), text);
}

/// Prints on standard error.
pub fn note(text: Arguments<'_>) {
    write(io::stderr().lock(), text);
}

/// The error by which some of the result could not be printed, if one was met since the last call.
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
