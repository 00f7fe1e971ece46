// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI button, which we press when the guest asks for it.
//!
//! Firmware writes to memory what has happened before it rings. So do we, where the guest asks for
//! that: its memory is then a file, in which we increment a byte before each press. It is one byte,
//! since the guest may see a longer word half written.

use std::env;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use thiserror::Error;

use super::command::{MEMORY, MEMORY_MIB};
use super::monitor::{Monitor, in_an_option};
use super::qmp::QmpError;
use crate::error::UserError;
use crate::workspace;

/// Why we could not do what a guest asked for.
#[derive(Debug, Error)]
pub enum AskError {
    /// The guest's scenario names no button among its devices.
    #[error("there is no button: its scenario names none among its devices")]
    NoButton,
    /// We could not press the button as often as the guest asked for.
    #[error("press {press} of {of}: {why}")]
    NotPressed {
        /// The press that failed, from 1.
        press: u64,
        /// How many presses the guest asked for.
        of: u64,
        /// Why.
        why: QmpError,
    },
    /// The guest's scenario does not name shared memory among its devices.
    #[error("its memory is not shared: its scenario does not say so among its devices")]
    NoMemory,
    /// The byte is not there, or cannot be written.
    #[error("the byte at {address:#x} of its memory cannot be changed: {why}")]
    Memory {
        /// Where it was to be.
        address: u64,
        /// Why.
        why: io::Error,
    },
    /// We could not answer the guest.
    #[error("the answer cannot be written to the serial line: {0}")]
    Answer(#[from] io::Error),
}

/// The button of one boot, which QEMU's monitor presses; where the scenario wants it, also the
/// machine's memory.
#[derive(Debug)]
pub(crate) struct Button {
    monitor: Monitor,
    /// The file is opened at the first condition: by then, QEMU has made it.
    memory: Memory,
}

/// Where the machine's memory is.
#[derive(Debug)]
enum Memory {
    /// It is QEMU's own.
    Private,
    /// It is a file, which we have not opened yet.
    InFile,
    Open(File),
}

impl Button {
    /// A button, and with `shared_memory` the machine's memory as well.
    ///
    /// # Errors
    ///
    /// When there is no folder for them, or [`UserError::NoSpaceForMemory`]: a machine whose memory
    /// does not fit its file would be killed in the middle.
    pub(crate) fn new(shared_memory: bool) -> anyhow::Result<Self> {
        if shared_memory {
            check_space(&env::temp_dir())?;
        }
        let memory = if shared_memory { Memory::InFile } else { Memory::Private };
        let monitor = Monitor::new().context("cannot make a temporary folder")?;
        Ok(Self { monitor, memory })
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut words = self.monitor.arguments();
        if !matches!(self.memory, Memory::Private) {
            let file = in_an_option(&self.memory_file());
            words.extend([
                String::from("-object"),
                format!("memory-backend-file,id=memory,size={MEMORY},mem-path={file},share=on"),
                String::from("-machine"),
                String::from("memory-backend=memory"),
            ]);
        }
        words
    }

    /// Presses it `times` times, one after the other, each time after the byte at the address
    /// `condition` has grown by one. When this returns, QEMU has done all of them.
    pub(crate) fn press(
        &mut self,
        times: u64,
        condition: Option<u64>,
        limit: Duration,
    ) -> Result<(), AskError> {
        let deadline = Instant::now() + limit;
        for press in 1..=times {
            if let Some(address) = condition {
                self.set_condition(address)?;
            }
            self.press_once(deadline).map_err(|why| AskError::NotPressed {
                press,
                of: times,
                why,
            })?;
        }
        Ok(())
    }

    /// The monitor that presses it.
    pub(crate) fn monitor(&mut self) -> &mut Monitor {
        &mut self.monitor
    }

    fn press_once(&mut self, deadline: Instant) -> Result<(), QmpError> {
        self.monitor.ask(deadline, |monitor| monitor.inject_nmi(deadline))
    }

    fn set_condition(&mut self, address: u64) -> Result<(), AskError> {
        let failed = |why| AskError::Memory { address, why };
        if let Memory::InFile = self.memory {
            let file = OpenOptions::new().read(true).write(true).open(self.memory_file());
            self.memory = Memory::Open(file.map_err(failed)?);
        }
        let Memory::Open(memory) = &self.memory else {
            return Err(AskError::NoMemory);
        };
        let mut byte = [0];
        memory.read_exact_at(&mut byte, address).map_err(failed)?;
        memory.write_all_at(&[byte[0].wrapping_add(1)], address).map_err(failed)
    }

    fn memory_file(&self) -> PathBuf {
        self.monitor.folder().join("memory")
    }
}

fn check_space(folder: &Path) -> Result<(), UserError> {
    let path = folder.display().to_string();
    match workspace::free_mib(folder).filter(|&free_mib| free_mib < MEMORY_MIB) {
        Some(free_mib) => {
            Err(UserError::NoSpaceForMemory { path, free_mib, needed_mib: MEMORY_MIB })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::guest::qmp::tests::{DONE, GREETING, serve};
    use std::thread::JoinHandle;

    /// A button whose monitor acknowledges `presses` presses and then closes, and the commands it
    /// was given.
    pub(crate) fn button_that_works(presses: usize) -> (Button, JoinHandle<Vec<String>>) {
        let button = Button::new(true).expect("a folder");
        let script = [&[GREETING, DONE][..], &vec![DONE; presses]].concat();
        let monitor =
            serve(button.monitor.socket(), script.into_iter().map(str::to_owned).collect());
        (button, monitor)
    }

    #[test]
    fn one_connection_serves_every_press() {
        let (mut button, monitor) = button_that_works(5);
        for times in [3, 0, 2] {
            button.press(times, None, Duration::from_secs(30)).expect("pressed");
        }
        let commands = monitor.join().expect("the commands");
        assert_eq!(commands.iter().filter(|command| command.contains("inject-nmi")).count(), 5);
    }

    #[test]
    fn the_press_that_fails_is_named() {
        let (mut button, _monitor) = button_that_works(2);
        let error = button.press(4, None, Duration::from_secs(30)).expect_err("only two");
        assert!(error.to_string().starts_with("press 3 of 4: "), "{error}");
    }

    #[test]
    fn the_condition_grows_before_each_press() {
        let (mut button, monitor) = button_that_works(3);
        std::fs::write(button.memory_file(), [7, 255, 9]).expect("a file");
        button.press(2, Some(1), Duration::from_secs(30)).expect("pressed");
        assert_eq!(std::fs::read(button.memory_file()).expect("the file"), [7, 1, 9]);
        let error = button.press(1, Some(3), Duration::from_secs(30)).expect_err("no such byte");
        assert!(error.to_string().starts_with("the byte at 0x3 "), "{error}");
        button.press(1, None, Duration::from_secs(30)).expect("pressed");
        let commands = monitor.join().expect("the commands");
        assert_eq!(commands.iter().filter(|command| command.contains("inject-nmi")).count(), 3);
    }

    #[test]
    fn memory_that_is_not_shared_is_not_changed() {
        let mut button = Button::new(false).expect("a folder");
        std::fs::write(button.memory_file(), [7]).expect("a file");
        let error = button.press(1, Some(0), Duration::from_secs(30)).expect_err("not shared");
        assert!(matches!(error, AskError::NoMemory), "{error}");
    }
}
