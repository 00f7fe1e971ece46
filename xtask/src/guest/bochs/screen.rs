// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bochs's standard error, and the screen that it names there.
//!
//! With a debugger built in, as in Debian's, the display `term` opens a pseudo-terminal of its own
//! and says its name. No person looks at it, but xtask must read it: otherwise Bochs's output would
//! fill it up and stop Bochs, and its echo would press keys in the guest.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread::{self, JoinHandle};

/// How many of the last messages are kept.
const MOST_MESSAGES: usize = 20;

/// Reads `messages` to their end on a thread of its own, and the screen that they name on another.
/// Returns the last of them.
pub(super) fn watch(messages: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut last = VecDeque::new();
        let mut reader = BufReader::new(messages);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes != 0) {
            let mut text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if let Some(screen) = named_screen(&text) {
                if let Err(error) = drain(screen) {
                    text = format!("its screen {screen} cannot be read: {error}");
                }
            }
            if last.len() == MOST_MESSAGES {
                last.pop_front();
            }
            last.push_back(text);
        }
        Vec::from(last).join("\n")
    })
}

/// The pseudo-terminal in text like `Bochs connected to screen "/dev/pts/1"`.
fn named_screen(text: &str) -> Option<&str> {
    let name = text.strip_prefix("Bochs connected to screen \"")?.strip_suffix('"')?;
    name.starts_with("/dev/pts/").then_some(name)
}

/// Reads the screen on a thread of its own until Bochs closes it, and throws away what it reads.
fn drain(screen: &str) -> io::Result<()> {
    let mut screen = OpenOptions::new().read(true).custom_flags(libc::O_NOCTTY).open(screen)?;
    without_echo(&screen)?;
    thread::spawn(move || {
        // It ends with an error when the other end closes.
        drop(io::copy(&mut screen, &mut io::sink()));
    });
    Ok(())
}

fn without_echo(terminal: &File) -> io::Result<()> {
    let mut mode = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the descriptor is open, and the function writes a whole `termios` to the place, or
    // fails.
    if unsafe { libc::tcgetattr(terminal.as_raw_fd(), mode.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded.
    let mut mode = unsafe { mode.assume_init() };
    // SAFETY: the function changes the `termios` that it is given, and nothing else.
    unsafe { libc::cfmakeraw(&mut mode) };
    // SAFETY: the descriptor is open, and the function only reads the `termios`.
    match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &mode) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_a_pseudo_terminal_and_nothing_else() {
        assert_eq!(named_screen("Bochs connected to screen \"/dev/pts/7\""), Some("/dev/pts/7"));
        assert_eq!(named_screen("Bochs connected to screen \"/etc/passwd\""), None);
        assert_eq!(named_screen("connected to screen \"/dev/pts/7\""), None);
    }

    #[test]
    fn the_last_messages_are_kept() {
        let text: String = (0..30).map(|number| format!("message {number}\n")).collect();
        let kept = watch(io::Cursor::new(text)).join().expect("no panic");
        assert_eq!(kept.lines().count(), MOST_MESSAGES);
        assert!(kept.starts_with("message 10\n") && kept.ends_with("message 29"), "{kept}");
    }

    #[test]
    fn a_screen_that_cannot_be_read_is_told() {
        let text = "Bochs connected to screen \"/dev/pts/no-such\"\n";
        let kept = watch(io::Cursor::new(text)).join().expect("no panic");
        assert!(kept.contains("cannot be read"), "{kept}");
    }
}
