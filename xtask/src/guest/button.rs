// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI button, which we press when the guest asks for it.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::qmp::{Qmp, QmpError};
use crate::private_dir::PrivateDir;

/// Why a guest was not given what it asked for.
#[derive(Debug, Error)]
pub enum AskError {
    /// The guest's scenario names no button among its devices.
    #[error("there is no button: its scenario names none among its devices")]
    NoButton,
    /// The button was not pressed as often as it was asked for.
    #[error("press {press} of {of}: {why}")]
    NotPressed {
        /// The press that failed, from 1.
        press: u64,
        /// How many there were to be.
        of: u64,
        /// Why.
        why: QmpError,
    },
    /// The guest could not be told that it was done.
    #[error("the answer cannot be written to the serial line: {0}")]
    Answer(#[from] io::Error),
}

/// The button of one boot: QEMU's monitor, behind a socket that nobody else can reach.
#[derive(Debug)]
pub(crate) struct Button {
    folder: PrivateDir,
    /// Connected at the first press: by then, QEMU has made the socket.
    monitor: Option<Qmp>,
}

impl Button {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { folder: PrivateDir::new()?, monitor: None })
    }

    /// What tells QEMU to have it.
    pub(crate) fn arguments(&self) -> [String; 2] {
        // In QEMU's options a comma ends a value, and two are one.
        let socket = self.socket().to_string_lossy().replace(',', ",,");
        [String::from("-qmp"), format!("unix:{socket},server=on,wait=off")]
    }

    /// Presses it `times` times, one after the other. When this returns, QEMU has done all of them.
    pub(crate) fn press(&mut self, times: u64, limit: Duration) -> Result<(), AskError> {
        let deadline = Instant::now() + limit;
        for press in 1..=times {
            self.press_once(deadline).map_err(|why| AskError::NotPressed {
                press,
                of: times,
                why,
            })?;
        }
        Ok(())
    }

    fn press_once(&mut self, deadline: Instant) -> Result<(), QmpError> {
        let monitor = match self.monitor.take() {
            Some(connected) => connected,
            None => Qmp::connect(&self.socket(), deadline)?,
        };
        self.monitor.insert(monitor).inject_nmi(deadline)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("qmp")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::guest::qmp::tests::{DONE, GREETING, serve};
    use std::thread::JoinHandle;

    /// A button whose monitor acknowledges `presses` presses and then closes, and the commands it was given.
    pub(crate) fn button_that_works(presses: usize) -> (Button, JoinHandle<Vec<String>>) {
        let button = Button::new().expect("a folder");
        let script = [&[GREETING, DONE][..], &vec![DONE; presses]].concat();
        let monitor = serve(button.socket(), script.into_iter().map(str::to_owned).collect());
        (button, monitor)
    }

    #[test]
    fn one_connection_serves_every_press() {
        let (mut button, monitor) = button_that_works(5);
        for times in [3, 0, 2] {
            button.press(times, Duration::from_secs(30)).expect("pressed");
        }
        let commands = monitor.join().expect("the commands");
        assert_eq!(commands.iter().filter(|command| command.contains("inject-nmi")).count(), 5);
    }

    #[test]
    fn the_press_that_fails_is_named() {
        let (mut button, _monitor) = button_that_works(2);
        let error = button.press(4, Duration::from_secs(30)).expect_err("only two");
        assert!(error.to_string().starts_with("press 3 of 4: "), "{error}");
    }

    #[test]
    fn the_socket_is_in_a_folder_that_goes_with_the_button() {
        let button = Button::new().expect("a folder");
        let path = button.folder.path().to_owned();
        let [option, value] = button.arguments();
        assert_eq!(option, "-qmp");
        assert_eq!(value, format!("unix:{}/qmp,server=on,wait=off", path.display()));
        assert!(path.is_dir());
        drop(button);
        assert!(!path.exists());
    }
}
