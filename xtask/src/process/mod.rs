// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes that never outlive xtask, with their output and a time limit.

pub mod interruption;
mod lines;

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid};

use crate::console;
use interruption::Victim;
pub(crate) use lines::{Lines, Next};

/// Which process group a child is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    /// A group of its own, which we kill as a whole, together with what a wrapper script has
    /// started.
    Own,
    /// Our group, to which the terminal belongs. We kill only the child itself.
    Ours,
}

/// A child that is killed when this is dropped or we are interrupted, and by the operating system
/// when the thread that started it dies.
#[derive(Debug)]
pub(crate) struct Supervised {
    child: Child,
    /// Gone once the child has been waited for: its numbers may be another process's then.
    victim: Option<Victim>,
}

impl Supervised {
    /// Starts the child in a process group of its own.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or we were interrupted.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        Self::spawn_in(Group::Own, command)
    }

    pub(crate) fn spawn_in(group: Group, command: &mut Command) -> io::Result<Self> {
        if group == Group::Own {
            command.process_group(0);
        }
        let us = getpid();
        // SAFETY: What runs between fork and exec makes two system calls, which are
        // async-signal-safe, and allocates nothing.
        unsafe { command.pre_exec(move || die_with_our_thread(us)) };
        let (child, victim) = interruption::start(|| {
            let child = command.spawn()?;
            let target = match group {
                Group::Own => -pid(&child).as_raw(),
                Group::Ours => pid(&child).as_raw(),
            };
            Ok((child, Pid::from_raw(target)))
        })?;
        Ok(Self { child, victim: Some(victim) })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the child to end by itself.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        if self.victim.is_some() {
            while self.look(WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?.is_none() {}
        }
        self.stop()
    }

    /// Waits for the child to end by itself; `None` if it does not by `deadline`.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        let at_once = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        loop {
            if self.victim.is_none() || self.look(at_once)?.is_some() {
                return self.stop().map(Some);
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the child if it still runs, and what is left of its group, and waits for it.
    pub(crate) fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(victim) = self.victim.take() {
            victim.kill();
        }
        self.child.wait()
    }

    /// Whether the child has ended. It stays to be waited for, so that its numbers stay its own.
    fn look(&self, flags: WaitPidFlag) -> io::Result<Option<WaitStatus>> {
        match waitid(Id::Pid(pid(&self.child)), flags) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(None),
            Ok(status) => Ok(Some(status)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // A child that cannot be killed is one that is already gone.
        drop(self.stop());
    }
}

fn pid(child: &Child) -> Pid {
    // The library hands on what is a signed number to the operating system.
    Pid::from_raw(child.id() as libc::pid_t)
}

/// Makes the operating system kill this process when the thread that started it dies; `parent` is
/// that thread's process.
fn die_with_our_thread(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before the call.
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
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
    interruption::check()?;
    let mut output = String::new();
    for reader in [stdout, stderr].into_iter().flatten() {
        output.push_str(&reader.join().unwrap_or_default());
    }
    Ok(Captured { status, output })
}

/// Runs `command` to its end, and prints its standard output as ours. If that fails, it is killed.
/// Other streams are our own unless it was given others.
pub(crate) fn status(command: &mut Command) -> io::Result<ExitStatus> {
    let mut process = Supervised::spawn_in(Group::Ours, command.stdout(Stdio::piped()))?;
    let mut source = process.child().stdout.take();
    let printed = source.as_mut().map_or(Ok(true), console::relay)?;
    if !printed {
        // Before it meets a closed pipe, which it would complain of.
        process.stop()?;
    }
    let status = process.wait()?;
    interruption::check()?;
    Ok(status)
}

/// Runs `command` to its end, collecting standard output. Standard error is ours unless it was
/// given another.
pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    let mut process = Supervised::spawn_in(Group::Ours, command.stdout(Stdio::piped()))?;
    let stderr = process.child().stderr.take().map(collect_bytes);
    let mut stdout = Vec::new();
    if let Some(source) = &mut process.child().stdout {
        source.read_to_end(&mut stdout)?;
    }
    let status = process.wait()?;
    interruption::check()?;
    let stderr = stderr.map(|reader| reader.join().unwrap_or_default()).unwrap_or_default();
    Ok(Output { status, stdout, stderr })
}

/// Reads `source` to its end on a thread of its own.
pub(crate) fn collect(source: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || String::from_utf8_lossy(&to_end(source)).into_owned())
}

fn collect_bytes(source: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || to_end(source))
}

fn to_end(mut source: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is still worth showing.
    drop(source.read_to_end(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests;
