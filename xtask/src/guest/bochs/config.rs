// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration that describes the machine to Bochs.

use std::os::fd::RawFd;
use std::path::Path;

use super::{BIOS, VGA_BIOS};

/// Files in a boot's own folder, in which we start Bochs, so that no path needs quoting.
pub(super) const IMAGE: &str = "image.iso";
pub(super) const CONFIG: &str = "bochsrc";
pub(super) const LOG: &str = "bochs.log";
pub(super) const COMMANDS: &str = "commands";

/// Has x2APIC, and no instruction that Bochs gets wrong.
pub(super) const CPU_MODEL: &str = "corei7_ivy_bridge_3770k";

/// Instructions in a second of the guest's time. They are enough for the work of each millisecond
/// of a guest that watches a clock (scenario `hpet` fails with 16 million), and no more: the guest
/// waits for times, and where all CPUs sleep, Bochs with several CPUs goes through the time
/// instruction by instruction.
const INSTRUCTIONS_A_SECOND: u32 = 50_000_000;

/// Commands for a Bochs with a debugger: go on; and end when anything stops it.
pub(super) const DEBUGGER_COMMANDS: &str = "continue\nquit\n";

/// The text of `bochsrc`: the guest's serial line goes to our descriptor `serial`.
///
/// The clock follows the instructions and starts on one day, so that boots repeat. A triple fault
/// ends Bochs.
pub(super) fn text(share: &Path, cpus: u8, serial: RawFd) -> String {
    let share = share.display();
    format!(
        "config_interface: textconfig\n\
         display_library: term\n\
         romimage: file=\"{share}/{BIOS}\", options=fastboot\n\
         vgaromimage: file=\"{share}/{VGA_BIOS}\"\n\
         memory: guest=128, host=128\n\
         cpu: model={CPU_MODEL}, count={cpus}, ips={INSTRUCTIONS_A_SECOND}, \
         reset_on_triple_fault=0\n\
         clock: sync=none, time0=946681200\n\
         plugin_ctrl: speaker=0\n\
         boot: cdrom\n\
         ata0-master: type=cdrom, path={IMAGE}, status=inserted\n\
         com1: enabled=1, mode=file, dev=/dev/fd/{serial}\n\
         log: {LOG}\n\
         debug: action=ignore\n\
         info: action=ignore\n\
         error: action=report\n\
         panic: action=fatal\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_the_one_that_is_asked_for() {
        let text = text(Path::new("/share"), 3, 17);
        for part in ["count=3,", "romimage: file=\"/share/BIOS-", "dev=/dev/fd/17\n"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.lines().all(|line| line.contains(": ") && !line.starts_with(' ')), "{text}");
    }
}
