// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interruption: by Ctrl-C, by a signal, or because nobody reads what we print.
//!
//! An interruption kills every child and lets none start any more. Code that waited for a child
//! gets an error, so that the stack unwinds by errors and cleans up.

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

/// How long the clean-up may take before the process ends anyway.
const WAY_OUT: Duration = Duration::from_secs(3);

/// The signal that was received first, or 0. The thread that receives a signal writes it, under the
/// lock of `VICTIMS`; any thread reads it. A reader that sees it does nothing that depends on other
/// memory, and code that must not miss it reads it under that lock: Relaxed.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// What an interruption kills: a process, or with a minus sign a process group. A child is added
/// under the lock under which it starts, so none is missed.
static VICTIMS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// xtask was interrupted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("stopped by {}; no emulator is left behind", name(*.signal))]
pub struct Interrupted {
    signal: i32,
}

impl Interrupted {
    /// Whether the reason is that nobody reads what we print, so a message is of no use.
    #[must_use]
    pub fn is_for_want_of_a_reader(self) -> bool {
        self.signal == number(Signal::SIGPIPE)
    }

    /// The exit status that shells use for the signal.
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

/// Listens for Ctrl-C and for signals that ask the process to end. A second one ends it at once.
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

/// Checks that nothing has interrupted xtask.
///
/// # Errors
///
/// [`Interrupted`] if something has.
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
    // The exit status reports the first signal.
    let _ = RECEIVED.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    for &victim in victims.iter() {
        // A victim that is gone cannot be killed.
        let _ = kill(victim, Signal::SIGKILL);
    }
}

/// Starts a child by `spawn`, which also returns what to kill. Refuses after an interruption.
pub(super) fn start(
    spawn: impl FnOnce() -> io::Result<(Child, Pid)>,
) -> io::Result<(Child, Victim)> {
    let mut victims = victims();
    check()?;
    let (child, target) = spawn()?;
    victims.push(target);
    Ok((child, Victim(target)))
}

/// A child, or its group, which an interruption kills. Nothing has waited for the child yet, so its
/// number is its own.
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
