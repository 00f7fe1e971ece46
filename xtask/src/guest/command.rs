// SPDX-License-Identifier: MIT OR Apache-2.0
//! The QEMU command line.

use std::path::Path;

use super::boot::Controls;
use crate::catalog::{Boot, Device, Scenario};
use crate::machine::{Apic, Clock, Machine, MachineType};

/// One nanosecond an instruction, and no waiting for the host's clock.
///
/// With it, QEMU allows the reading of its clock only in instructions that its translator knows for
/// input or output. RDMSR is not among them (as of QEMU 11), so that the current count of an x2APIC
/// timer ends QEMU with "Bad icount read": `findings/x2apic-timer-and-instruction-clock.sh`. The
/// kernel reads that count in xAPIC mode only.
const ICOUNT: &str = "shift=0,sleep=off";

/// Leaves out the controller of discs. The firmware waits for a disc at each of its ports, and by
/// the deterministic clock, that is an instruction for each nanosecond: most of a short boot.
const NO_DISCS: [&str; 2] = ["-machine", "sata=off"];

/// How much memory the machine has, for QEMU and in mebibytes.
pub(super) const MEMORY: &str = "128M";
pub(super) const MEMORY_MIB: u64 = 128;

/// The guest's kernel command line; `exit` names the device that ends its machine.
pub(crate) fn append(
    scenario: &Scenario,
    fault: Option<&str>,
    boot: &Boot,
    apic: Apic,
    exit: &str,
) -> String {
    let fault = fault.unwrap_or("none");
    let words = format!(
        "scenario={} fault={fault} apic={} policy={} exit={exit} {}",
        scenario.name,
        apic.name(),
        boot.policy,
        boot.words
    );
    words.trim_end().to_owned()
}

/// What the guest is started from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// The kernel itself, by PVH, with its command line.
    Kernel { path: &'a Path, append: &'a str },
    /// A bootable image, which holds both.
    Image(&'a Path),
}

/// The name of a device in lists and messages. xtask provides each by itself.
pub(crate) const fn device_name(device: Device) -> &'static str {
    match device {
        Device::Edu => "edu",
        Device::WatchdogCard => "i6300esb",
        Device::Button => "nmi-button",
        Device::SharedMemory => "shared-memory",
    }
}

/// QEMU's arguments for `device`. A button and shared memory are among the [`Controls`].
const fn device(device: Device) -> &'static [&'static str] {
    match device {
        Device::Edu => &["-device", "edu"],
        Device::WatchdogCard => &["-device", "i6300esb", "-watchdog-action", "inject-nmi"],
        Device::Button | Device::SharedMemory => &[],
    }
}

/// The whole command, `program` first.
pub(crate) fn argv(
    program: &str,
    start_from: Start<'_>,
    machine: Machine,
    devices: &[Device],
    controls: &Controls,
) -> Vec<String> {
    let cpus = machine.cpus.to_string();
    let clock: &[&str] = match machine.clock {
        Clock::Deterministic => &["-accel", "tcg,thread=single", "-icount", ICOUNT],
        Clock::Parallel => &["-accel", "tcg,thread=multi"],
    };
    let machine_type = machine.machine_type.name();
    let start = [program, "-machine", machine_type, "-cpu", "max", "-m", MEMORY, "-smp", &cpus];
    let bare = ["-nodefaults", "-display", "none", "-serial", "stdio"];
    let discs: &[&str] = match (start_from, machine.machine_type) {
        (Start::Kernel { .. }, MachineType::Q35) => &NO_DISCS,
        _ => &[],
    };
    let devices: Vec<_> = devices.iter().flat_map(|&named| device(named)).copied().collect();
    let controls = controls.arguments();
    let controls: Vec<_> = controls.iter().map(String::as_str).collect();
    let ending = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-no-reboot"];
    let file = match start_from {
        Start::Kernel { path, .. } | Start::Image(path) => path.to_string_lossy(),
    };
    let guest: &[&str] = match start_from {
        Start::Kernel { append, .. } => &["-kernel", &file, "-append", append],
        Start::Image(_) => &["-cdrom", &file],
    };
    [&start, discs, clock, &bare, &devices, &controls, &ending, guest]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// `argv` as one line that a POSIX shell reads back unchanged.
pub(crate) fn shell_line(argv: &[String]) -> String {
    argv.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::button::Button;

    fn kernel(append: &str) -> Start<'_> {
        Start::Kernel { path: Path::new("k"), append }
    }

    #[test]
    fn the_shell_reads_back_every_word() {
        let words =
            ["plain-1.0/x,y=z", "two words", "it's", "", "$HOME `x` \"q\" *"].map(str::to_owned);
        let line = format!("printf '%s\\n' {}", shell_line(&words));
        let output =
            std::process::Command::new("sh").args(["-c", &line]).output().expect("sh runs");
        let seen = String::from_utf8(output.stdout).expect("text");
        assert_eq!(seen.lines().collect::<Vec<_>>(), words);
    }

    #[test]
    fn devices_are_what_the_scenario_names() {
        let machine = Machine {
            machine_type: MachineType::Q35,
            cpus: 1,
            apic: Apic::Xapic,
            clock: Clock::Parallel,
        };
        let line = |devices: &[Device], controls: &Controls| {
            shell_line(&argv("qemu", kernel("a"), machine, devices, controls))
        };
        let button = Controls::Button(Button::new(false).expect("a folder"));
        let all = line(&[Device::Edu, Device::WatchdogCard, Device::Button], &button);
        assert!(all.contains(
            " -serial stdio -device edu -device i6300esb -watchdog-action inject-nmi -qmp unix:"
        ));
        let none = line(&[], &Controls::Nothing);
        assert!(!none.contains("-qmp") && !none.contains("edu"));
        let shared = Controls::Button(Button::new(true).expect("a folder"));
        let shared = line(&[Device::Button, Device::SharedMemory], &shared);
        assert!(shared.contains(" -object memory-backend-file,id=memory,size=128M,mem-path="));
        assert!(shared.contains("/memory,share=on -machine memory-backend=memory "), "{shared}");
        assert!(!all.contains("memory-backend"));
    }

    #[test]
    fn clocks_and_modes_choose_the_accelerator() {
        let line = |apic, clock| {
            let machine = Machine { machine_type: MachineType::Pc, cpus: 3, apic, clock };
            shell_line(&argv("qemu", kernel("a=b c=d"), machine, &[], &Controls::Nothing))
        };
        let counting = line(Apic::Xapic, Clock::Deterministic);
        let parallel = line(Apic::X2apic, Clock::Parallel);
        assert!(counting.contains("-smp 3 -accel tcg,thread=single -icount shift=0,sleep=off "));
        assert!(parallel.contains(" -machine pc -cpu max "));
        assert!(parallel.contains("-smp 3 -accel tcg,thread=multi -nodefaults"));
        assert!(parallel.ends_with("-no-reboot -kernel k -append 'a=b c=d'"));
    }

    #[test]
    fn an_image_takes_the_kernels_place() {
        let machine = Machine {
            machine_type: MachineType::Q35,
            cpus: 1,
            apic: Apic::Xapic,
            clock: Clock::Parallel,
        };
        let start = Start::Image(Path::new("i.iso"));
        let line = shell_line(&argv("qemu", start, machine, &[], &Controls::Nothing));
        assert!(line.ends_with("-no-reboot -cdrom i.iso") && !line.contains("-kernel"), "{line}");
    }

    #[test]
    fn only_a_machine_that_boots_from_a_disc_has_a_controller_for_it() {
        let has_none = |start, machine_type| {
            let machine =
                Machine { machine_type, cpus: 1, apic: Apic::Xapic, clock: Clock::Parallel };
            let line = shell_line(&argv("qemu", start, machine, &[], &Controls::Nothing));
            line.contains(" -machine sata=off ")
        };
        assert!(has_none(kernel("a"), MachineType::Q35));
        assert!(!has_none(Start::Image(Path::new("i.iso")), MachineType::Q35));
        assert!(!has_none(kernel("a"), MachineType::Pc));
    }
}
