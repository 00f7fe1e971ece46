// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's monitor of one boot, behind a socket that no other user can reach.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::qmp::{Qmp, QmpError};
use crate::private_dir::PrivateDir;

/// The monitor, and the folder of its socket.
#[derive(Debug)]
pub(crate) struct Monitor {
    folder: PrivateDir,
    /// Connected at the first question: by then, QEMU has made the socket.
    connection: Option<Qmp>,
}

impl Monitor {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { folder: PrivateDir::new()?, connection: None })
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let socket = in_an_option(&self.socket());
        vec![String::from("-qmp"), format!("unix:{socket},server=on,wait=off")]
    }

    /// A folder that goes with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets `ask` ask it something. After a failure, the connection is not used again.
    pub(crate) fn ask<T>(
        &mut self,
        deadline: Instant,
        ask: impl FnOnce(&mut Qmp) -> Result<T, QmpError>,
    ) -> Result<T, QmpError> {
        let mut connection = match self.connection.take() {
            Some(connected) => connected,
            None => Qmp::connect(&self.socket(), deadline)?,
        };
        let answer = ask(&mut connection)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("qmp")
    }
}

/// A path as it is written in QEMU's options, where a comma ends a value, and two are one.
pub(super) fn in_an_option(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_in_a_folder_that_goes_with_the_monitor() {
        let monitor = Monitor::new().expect("a folder");
        let path = monitor.folder().to_owned();
        let socket = format!("unix:{}/qmp,server=on,wait=off", path.display());
        assert_eq!(monitor.arguments(), ["-qmp", &socket]);
        assert!(path.is_dir());
        drop(monitor);
        assert!(!path.exists());
    }

    #[test]
    fn a_comma_in_a_path_ends_no_value() {
        assert_eq!(in_an_option(Path::new("/a,b")), "/a,,b");
    }
}
