// SPDX-License-Identifier: MIT OR Apache-2.0
//! One boot on Bochs: starts it, reads its serial line to the end, and translates its ending to
//! QEMU's exit status.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::pipe2;

use super::{BINARY, Bochs, config, screen};
use crate::guest::boot::{Answerer, Ending, Heard, Limits, Listener, Transcript, listen};
use crate::machine::Machine;
use crate::process::{Lines, Next, Supervised, interruption};

/// How long Bochs may take to end after the guest has said that it ends.
const AFTER_THE_END: Duration = Duration::from_secs(5);

/// How many lines of the end of Bochs's own log we keep.
const LOG_LINES: usize = 10;

/// In the log of a Bochs that ended by a triple fault (Bochs 2.7, `cpu/exception.cc`).
const TRIPLE_FAULT: &str = "exception with no resolution";

/// QEMU's exit status when the machine resets itself.
const EXIT_RESET: i32 = 0;
/// Any status that no guest chooses.
const EXIT_OUT_OF_ORDER: i32 = 1;

/// Boots the image in `folder`.
pub(super) fn run(
    bochs: &Bochs,
    folder: &Path,
    machine: Machine,
    limits: Limits,
    listener: &mut dyn Listener,
) -> anyhow::Result<Transcript> {
    let (line, guests_end) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let text = config::text(&bochs.share, machine.cpus, guests_end.as_raw_fd());
    fs::write(folder.join(config::CONFIG), text)?;
    fs::write(folder.join(config::COMMANDS), config::DEBUGGER_COMMANDS)?;

    let argv = [BINARY, "-q", "-f", config::CONFIG, "-rc", config::COMMANDS].map(str::to_owned);
    listener.booting(&argv);
    let mut command = Command::new(&argv[0]);
    // From a terminal, Bochs would sleep a millisecond at each HLT; an input that is over ends that
    // wait at once.
    command.args(&argv[1..]).current_dir(folder).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    // A terminal that every system knows.
    command.env("TERM", "linux").env_remove("BXSHARE").env_remove("DISPLAY");
    let inherit = move || fcntl(&guests_end, FcntlArg::F_SETFD(FdFlag::empty())).map(drop);
    // SAFETY: What runs between fork and exec makes one system call, which is async-signal-safe,
    // and allocates nothing.
    unsafe { command.pre_exec(move || inherit().map_err(Into::into)) };
    let mut process =
        Supervised::spawn(&mut command).with_context(|| format!("cannot start {BINARY}"))?;
    // It holds our copy of the guest's end, which would keep the line from ending.
    drop(command);
    let lines = Lines::of(File::from(line));
    let messages = screen::watch(process.child().stderr.take().context("no standard error")?);

    let mut transcript = Transcript::new();
    let heard = listen(&lines, limits, &mut Answerer::empty_handed(), &mut transcript, listener);
    let by_itself = match &heard {
        Heard::End if limits.over_at_end_record => None,
        Heard::End => process.wait_until(Instant::now() + AFTER_THE_END)?,
        Heard::TooMuch(_) | Heard::Unanswerable(_) => None,
    };
    let stopped = process.stop()?;
    interruption::check()?;
    while let Next::Line(text) = lines.next_within(Duration::from_secs(1)) {
        transcript.take(text, listener);
    }
    let log = fs::File::open(folder.join(config::LOG)).and_then(last_lines).unwrap_or_default();
    transcript.ending = match heard {
        Heard::TooMuch(why) => Ending::GivenUp { why },
        Heard::Unanswerable(error) => {
            transcript.unanswered = Some(error.to_string());
            Ending::GivenUp { why: String::from("it asked for what it cannot be given") }
        }
        Heard::End => {
            Ending::Exited(status(by_itself.unwrap_or(stopped), transcript.exit_status, &log))
        }
    };
    let messages = messages.join().unwrap_or_default();
    transcript.emulator_messages = format!("{messages}\n{log}");
    Ok(transcript)
}

/// The exit status that QEMU would have. Bochs has one status for every ending, so the guest's own
/// record counts first, then the log.
fn status(of_bochs: ExitStatus, named: Option<u8>, log: &str) -> ExitStatus {
    let code = match named {
        Some(code) => i32::from(code),
        None if log.contains(TRIPLE_FAULT) => EXIT_RESET,
        None if of_bochs.success() => EXIT_OUT_OF_ORDER,
        None => return of_bochs,
    };
    ExitStatus::from_raw(code << 8)
}

/// The end of the log.
fn last_lines(mut log: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(of_bochs: i32, named: Option<u8>, log: &str) -> Option<i32> {
        status(ExitStatus::from_raw(of_bochs << 8), named, log).code()
    }

    #[test]
    fn the_guests_word_comes_first() {
        for named in [33, 35, 37] {
            assert_eq!(code(1, Some(named), TRIPLE_FAULT), Some(i32::from(named)));
        }
    }

    #[test]
    fn a_triple_fault_is_a_reset_and_silence_is_none() {
        let log =
            "00083781154p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution";
        assert_eq!(code(1, None, log), Some(EXIT_RESET));
        assert_eq!(code(1, None, "something else"), Some(1));
        assert_eq!(code(0, None, "something else"), Some(EXIT_OUT_OF_ORDER));
        assert_eq!(status(ExitStatus::from_raw(libc::SIGSEGV), None, "").code(), None);
    }

    #[test]
    fn of_a_long_log_the_end_is_kept() {
        let file = crate::private_dir::PrivateDir::new().expect("made");
        let path = file.path().join("log");
        let text: String = (0..50).map(|number| format!("line {number}\n")).collect();
        fs::write(&path, text).expect("written");
        let kept = last_lines(File::open(&path).expect("there")).expect("readable");
        assert_eq!(kept.lines().count(), LOG_LINES);
        assert!(kept.ends_with("line 49"), "{kept}");
    }
}
