// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulators that are shell scripts.

use super::*;
use crate::catalog::{Device, SCENARIOS};
use crate::machine::{Apic, Clock, MachineType};
use crate::private_dir::PrivateDir;

const Q35: Machine = Machine {
    machine_type: MachineType::Q35,
    cpus: 4,
    apic: Apic::Xapic,
    clock: Clock::Deterministic,
};

/// A program in `folder` that answers as a QEMU of `version` with these parts would.
fn script(folder: &PrivateDir, version: &str, machines: &str, devices: &str) -> String {
    let text = format!(
        "#!/bin/sh\ncase $1 in\n--version) echo 'QEMU emulator version {version}' ;;\n\
         -machine) echo '{machines}' ;;\n-device) echo '{devices}' ;;\nesac\n"
    );
    executable(folder, &text)
}

/// Written by another process: a file that another thread's child has open for writing cannot be
/// run.
fn executable(folder: &PrivateDir, text: &str) -> String {
    let path = folder.path().join("qemu").to_str().expect("text").to_owned();
    let write = "printf %s \"$2\" > \"$1\" && chmod +x \"$1\"";
    let status = Command::new("sh").args(["-c", write, "sh", &path, text]).status();
    assert!(status.expect("sh runs").success());
    path
}

const MACHINES: &str = "q35  one\npc  other";
const DEVICES: &str = "isa-debug-exit options:\nedu options:\ni6300esb options:";

fn qemu(version: &str, machines: &str, devices: &str) -> Result<Qemu, Unusable> {
    let folder = PrivateDir::new().expect("made");
    Qemu::at(&script(&folder, version, machines, devices))
}

/// One that has all, as far as it says.
pub(crate) fn complete_qemu() -> Qemu {
    qemu("10.0.2", MACHINES, DEVICES).expect("it answers")
}

#[test]
fn a_script_that_answers_is_an_emulator_and_keeps_its_path() {
    let folder = PrivateDir::new().expect("made");
    let program = script(&folder, "10.0.2", MACHINES, DEVICES);
    let qemu = Qemu::at(&program).expect("it answers");
    assert_eq!(qemu.to_string(), format!("QEMU 10.0.2 ({program})"));
    assert_eq!((qemu.program(), qemu.require(Q35)), (program.as_str(), Ok(())));
    assert!(SCENARIOS.iter().all(|scenario| qemu.refuses(scenario, Q35).is_none()));
}

#[test]
fn a_qemu_without_q35_is_refused_for_q35_only() {
    let qemu = qemu("10.0.2", "pc  other", DEVICES).expect("it answers");
    let error = qemu.require(Q35).expect_err("no q35").to_string();
    assert!(error.contains("`q35`") && error.contains("--qemu"), "{error}");
    assert_eq!(qemu.require(Machine { machine_type: MachineType::Pc, ..Q35 }), Ok(()));
}

#[test]
fn a_scenario_is_refused_for_the_device_that_it_needs() {
    let qemu = qemu("10.0.2", MACHINES, &DEVICES.replace("edu", "x")).expect("it answers");
    for scenario in SCENARIOS {
        let refusal = qemu.refuses(scenario, Q35);
        assert_eq!(refusal.is_some(), scenario.devices.contains(&Device::Edu), "{refusal:?}");
    }
}

#[test]
fn x2apic_on_an_older_qemu_is_refused_with_a_remedy() {
    let qemu = qemu("7.2.22", MACHINES, DEVICES).expect("it answers");
    let error = qemu.require(Machine { apic: Apic::X2apic, ..Q35 }).expect_err("too old");
    let text = error.to_string();
    assert!(text.contains("QEMU 7.2.22") && text.contains("release 9.0"), "{text}");
    assert!(text.contains("--qemu") && !text.contains('\n'), "{text}");
}

#[test]
fn releases_that_nothing_was_tried_on_are_refused() {
    let error = qemu("2.5.0", MACHINES, DEVICES).expect_err("far too old");
    assert!(matches!(error, Unusable::TooOld(_)), "{error:?}");
}

#[test]
fn what_does_not_answer_as_qemu_does_is_unusable() {
    let folder = PrivateDir::new().expect("made");
    for (text, why) in [
        ("#!/bin/sh\necho hello\n", "says no version, but: hello"),
        ("#!/bin/sh\necho cannot load a library >&2; exit 127\n", "cannot load a library"),
        ("#!/no/such/interpreter\n", "no such program"),
        ("no program at all", "not found"),
    ] {
        match Qemu::at(&executable(&folder, text)) {
            Err(Unusable::Other(seen)) => assert!(seen.contains(why), "{seen}"),
            Err(Unusable::NotThere) => assert_eq!(why, "no such program"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
