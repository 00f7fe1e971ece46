// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being told to stop: by Ctrl-C, by a signal, or since nobody reads what we print.
//!
//! Every child is killed then, none is started any more, and whoever waited for one gets an error,
//! so that what is on the stack is cleaned up on the way out.

use std::io;
use std::process::{self, Child};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::iterator::Signals;
use thiserror::Error;

/// How long the way out may take before the process ends whatever it is at.
const WAY_OUT: Duration = Duration::from_secs(3);

/// The signal that was received first, or 0. Whoever is told to stop writes it, under the lock of
/// `VICTIMS`; anybody reads it. A reader that sees it does nothing that rests on other memory, and
/// who must not miss it reads it under that lock: Relaxed.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// What is to be killed: a process, or with a minus sign a process group. A child is added under
/// the lock that it is started under, so none is missed.
static VICTIMS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// We were told to stop.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("stopped by {}; no emulator is left behind", name(*.signal))]
pub struct Interrupted {
    signal: i32,
}

impl Interrupted {
    /// Whether nobody reads what we print, so that there is nobody to tell.
    #[must_use]
    pub fn is_for_want_of_a_reader(self) -> bool {
        self.signal == number(Signal::SIGPIPE)
    }

    /// The exit status by which shells tell of the signal.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        u8::try_from(128 + self.signal).unwrap_or(u8::MAX)
    }
}

impl From<Interrupted> for io::Error {
    fn from(interrupted: Interrupted) -> Self {
        Self::other(interrupted)
    }
}

/// Listens for Ctrl-C and for signals that ask for an end. A second one ends the process at once.
///
/// # Errors
///
/// When the operating system does not let us.
pub fn watch() -> io::Result<()> {
    let mut signals = Signals::new([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].map(number))?;
    thread::Builder::new().name(String::from("signals")).spawn(move || {
        for signal in signals.forever() {
            if check().is_err() {
                process::exit(128 + signal);
            }
            interrupt(signal);
            thread::spawn(move || {
                thread::sleep(WAY_OUT);
                process::exit(128 + signal);
            });
        }
    })?;
    Ok(())
}

/// Whether to go on.
///
/// # Errors
///
/// [`Interrupted`] when we were told to stop.
pub fn check() -> Result<(), Interrupted> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(Interrupted { signal }),
    }
}

/// Stops everything, since nobody reads what we print.
pub(crate) fn nobody_reads() {
    interrupt(number(Signal::SIGPIPE));
}

fn interrupt(signal: i32) {
    let victims = victims();
    // The first signal is the one that is told.
    let _ = RECEIVED.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    for &victim in victims.iter() {
        // One that is gone cannot be killed.
        let _ = kill(victim, Signal::SIGKILL);
    }
}

/// Starts a child by `spawn`, which also says what is to be killed. Not if we were told to stop.
pub(super) fn start(
    spawn: impl FnOnce() -> io::Result<(Child, Pid)>,
) -> io::Result<(Child, Victim)> {
    let mut victims = victims();
    check()?;
    let (child, target) = spawn()?;
    victims.push(target);
    Ok((child, Victim(target)))
}

/// A child, or its group, that is killed if we are told to stop. The child has not been waited
/// for, so that its number is its own.
#[derive(Debug)]
pub(super) struct Victim(Pid);

impl Victim {
    /// Kills it, if there is anything left of it.
    pub(super) fn kill(self) {
        // A child that has ended, and has left nobody in its group, cannot be killed.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        victims().retain(|&victim| victim != self.0);
    }
}

fn victims() -> MutexGuard<'static, Vec<Pid>> {
    VICTIMS.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn number(signal: Signal) -> i32 {
    signal as i32
}

fn name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string())
}
