// SPDX-License-Identifier: MIT OR Apache-2.0
//! One boot: starts QEMU, reads its serial line, and answers what the guest asks for, until QEMU
//! ends or we give it up.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::button::{AskError, Button};
use super::monitor::Monitor;
use super::standstill;
use super::wire::{self, Check, GuestMachine, Line, Record, Totals};
use crate::process::{Lines, Next, Supervised, collect, interruption};

/// How many of the last serial lines are kept.
const TAIL_LINES: usize = 30;

/// What we write to the guest's serial line when we have done what it asked for.
const ANSWER: &[u8] = b".";

/// How long a guest whose request we could not meet may take to end by itself, which then is the
/// likely reason.
const LAST_GASP: Duration = Duration::from_secs(1);

/// When we give up a guest.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A guest that writes nothing for this long hangs.
    pub silence: Duration,
    /// A guest that is not over after this long hangs, whatever it writes.
    pub total: Duration,
    /// Whether we take the guest as over when it says that its scenario is, since nothing ends its
    /// machine.
    pub over_at_end_record: bool,
}

impl Limits {
    /// A total of ten times the silence.
    #[must_use]
    pub const fn from_silence_s(silence_s: u64) -> Self {
        Self {
            silence: Duration::from_secs(silence_s),
            total: Duration::from_secs(silence_s.saturating_mul(10)),
            over_at_end_record: false,
        }
    }
}

/// What the host can control while a guest runs.
#[derive(Debug)]
pub(crate) enum Controls {
    /// Nothing: the emulator has no monitor, or there is no emulator.
    #[cfg(test)]
    Nothing,
    /// The emulator's monitor.
    Monitor(Monitor),
    /// The monitor, and the permission to press the machine's button.
    Button(Button),
}

impl Controls {
    /// QEMU's arguments for them.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            #[cfg(test)]
            Self::Nothing => Vec::new(),
            Self::Monitor(monitor) => monitor.arguments(),
            Self::Button(button) => button.arguments(),
        }
    }

    fn monitor(&mut self) -> Option<&mut Monitor> {
        match self {
            #[cfg(test)]
            Self::Nothing => None,
            Self::Monitor(monitor) => Some(monitor),
            Self::Button(button) => Some(button.monitor()),
        }
    }

    fn button(&mut self) -> Option<&mut Button> {
        if let Self::Button(button) = self { Some(button) } else { None }
    }
}

/// Learns what happens in a boot, while it happens.
pub trait Listener {
    /// A boot begins by this command.
    fn booting(&mut self, argv: &[String]);
    /// The guest wrote a line.
    fn line(&mut self, line: &Line);
}

/// Listens to nothing.
#[derive(Debug)]
pub struct Deaf;

impl Listener for Deaf {
    fn booting(&mut self, _argv: &[String]) {}
    fn line(&mut self, _line: &Line) {}
}

/// How a boot ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// QEMU exited by itself.
    Exited(ExitStatus),
    /// We gave it up.
    GivenUp {
        /// Why, in words, and what each of its CPUs did and waited for, if an emulator's monitor
        /// could tell.
        why: String,
    },
}

/// The transcript of one boot.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// How it ended.
    pub ending: Ending,
    /// The guest's own view of its machine, if it came so far.
    pub machine: Option<GuestMachine>,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// The statistics, if it came so far.
    pub totals: Option<Totals>,
    /// Whether the scenario said that it was over.
    pub ended: bool,
    /// Why the guest stopped on purpose, if it did.
    pub stopped: Option<String>,
    /// The exit status that the guest named, if it did.
    pub exit_status: Option<u8>,
    /// Why we could not do what the guest asked for, if we could not.
    pub unanswered: Option<String>,
    /// Lines that should have been records.
    pub unreadable: Vec<String>,
    /// The lines before a stop record: the report that must be readable.
    pub report: Vec<String>,
    /// The last lines, records included.
    pub tail: VecDeque<String>,
    /// The emulator's own messages.
    pub emulator_messages: String,
}

/// Runs `argv`, which boots `kernel`, and listens until it ends, a limit passes, or it asks for
/// something that we cannot do.
pub(crate) fn run(
    argv: &[String],
    kernel: &Path,
    controls: &mut Controls,
    limits: Limits,
    listener: &mut dyn Listener,
) -> anyhow::Result<Transcript> {
    let (program, arguments) = argv.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let has_button = controls.button().is_some();
    command.stdin(if has_button { Stdio::piped() } else { Stdio::null() });
    let mut process =
        Supervised::spawn(&mut command).with_context(|| format!("cannot start {program}"))?;
    let lines = Lines::of(process.child().stdout.take().context("no serial line")?);
    let messages = collect(process.child().stderr.take().context("no standard error")?);

    let mut transcript = Transcript::new();
    let line = process.child().stdin.take();
    let mut answerer = Answerer { button: controls.button(), line };
    let heard = listen(&lines, limits, &mut answerer, &mut transcript, listener);
    transcript.ending = match heard {
        Heard::End if limits.over_at_end_record => Ending::Exited(process.stop()?),
        Heard::End => Ending::Exited(process.wait()?),
        Heard::TooMuch(why) => {
            let stand = controls.monitor().map(|monitor| standstill::look(monitor, kernel));
            process.stop()?;
            let words: Vec<_> = [why].into_iter().chain(stand.into_iter().flatten()).collect();
            Ending::GivenUp { why: words.join("; ") }
        }
        Heard::Unanswerable(error) => {
            transcript.unanswered = Some(error.to_string());
            let status = process.wait_until(Instant::now() + LAST_GASP)?;
            process.stop()?;
            let why = || String::from("it asked for what it cannot be given");
            status.map_or_else(|| Ending::GivenUp { why: why() }, Ending::Exited)
        }
    };
    while let Next::Line(text) = lines.next_within(Duration::from_secs(1)) {
        transcript.take(text, listener);
    }
    interruption::check()?;
    transcript.emulator_messages = messages.join().unwrap_or_default();
    Ok(transcript)
}

/// Does what the guest asks for.
pub(super) struct Answerer<'a> {
    button: Option<&'a mut Button>,
    line: Option<ChildStdin>,
}

impl Answerer<'_> {
    /// An answerer that can do nothing.
    pub(super) const fn empty_handed() -> Self {
        Self { button: None, line: None }
    }

    /// Presses the button `times` times, each time after it has set the condition, and then
    /// answers.
    fn press(
        &mut self,
        times: u64,
        condition: Option<u64>,
        limit: Duration,
    ) -> Result<(), AskError> {
        let (Some(button), Some(line)) = (self.button.as_mut(), self.line.as_mut()) else {
            return Err(AskError::NoButton);
        };
        button.press(times, condition, limit)?;
        line.write_all(ANSWER)?;
        Ok(line.flush()?)
    }
}

/// Why listening ended.
pub(super) enum Heard {
    /// The stream ended, or the guest said that it ends now.
    End,
    /// A limit passed.
    TooMuch(String),
    /// The guest asked for something that we cannot do.
    Unanswerable(AskError),
}

/// Reads to the end of the stream, unless there is a reason not to wait any longer.
pub(super) fn listen(
    lines: &Lines,
    limits: Limits,
    answerer: &mut Answerer<'_>,
    to: &mut Transcript,
    listener: &mut dyn Listener,
) -> Heard {
    let deadline = Instant::now() + limits.total;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Heard::TooMuch(format!("not over after {} s", limits.total.as_secs()));
        }
        let patience = limits.silence.min(left);
        match lines.next_within(patience) {
            Next::Line(text) => match to.take(text, listener) {
                Some(Record::Ask { press, condition }) => {
                    if let Err(error) = answerer.press(press, condition, patience) {
                        return Heard::Unanswerable(error);
                    }
                }
                Some(Record::Exit { .. }) => return Heard::End,
                Some(Record::End) if limits.over_at_end_record => return Heard::End,
                _ => {}
            },
            Next::End => return Heard::End,
            Next::Silence if left < limits.silence => {}
            Next::Silence => {
                return Heard::TooMuch(format!("no output for {} s", limits.silence.as_secs()));
            }
        }
    }
}

impl Transcript {
    pub(super) fn new() -> Self {
        Self {
            ending: Ending::GivenUp { why: String::from("never listened to") },
            machine: None,
            checks: Vec::new(),
            totals: None,
            ended: false,
            stopped: None,
            exit_status: None,
            unanswered: None,
            unreadable: Vec::new(),
            report: Vec::new(),
            tail: VecDeque::new(),
            emulator_messages: String::new(),
        }
    }

    /// Notes a line; the value is the record that it is, if it is one.
    pub(super) fn take(&mut self, text: String, listener: &mut dyn Listener) -> Option<Record> {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(text.clone());
        let line = wire::parse(text);
        listener.line(&line);
        match line {
            Line::Human(_) => {}
            Line::Unreadable(text) => self.unreadable.push(text),
            Line::Record(record) => {
                self.note(record.clone());
                return Some(record);
            }
        }
        None
    }

    fn note(&mut self, record: Record) {
        match record {
            Record::Machine(machine) => self.machine = Some(machine),
            Record::Progress { .. } | Record::Played(_) | Record::Ask { .. } => {}
            Record::Check(check) => self.checks.push(check),
            Record::Totals(totals) => self.totals = Some(totals),
            Record::End => self.ended = true,
            Record::Exit { status } => self.exit_status = Some(status),
            Record::Stopped { reason } => {
                self.report = self
                    .tail
                    .iter()
                    .filter(|line| !line.starts_with(wire::MARK))
                    .cloned()
                    .collect();
                self.stopped = Some(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests;
