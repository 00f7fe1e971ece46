// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine types and devices that a QEMU was built with.

use crate::catalog::Device;
use crate::machine::MachineType;

/// The device by which the guest ends its machine, in every boot.
const EXIT_DEVICE: &str = "isa-debug-exit";

/// The parts that boots use and this QEMU was built without.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lacking {
    machine_types: Vec<MachineType>,
    devices: Vec<&'static str>,
}

impl Lacking {
    /// The machine types that are missing in QEMU's list, whose lines begin with a name, and those
    /// of the [`devices`] about which it says nothing.
    pub(super) fn from_answers(machines: &str, devices: &str) -> Self {
        let first_word = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let listed: Vec<_> = machines.lines().filter_map(first_word).collect();
        let lacks_type = |it: &MachineType| !listed.iter().any(|name| name == it.name());
        let has_device = |name: &str| {
            devices.contains(&format!("{name} options:"))
                || devices.contains(&format!("no options for {name}"))
        };
        Self {
            machine_types: MachineType::ALL.into_iter().filter(lacks_type).collect(),
            devices: self::devices().filter(|name| !has_device(name)).collect(),
        }
    }

    /// The part that every boot on `machine_type` needs and this QEMU lacks, if there is one.
    pub(super) fn of_machine(&self, machine_type: MachineType) -> Option<String> {
        if self.machine_types.contains(&machine_type) {
            return Some(format!("machine type `{}`", machine_type.name()));
        }
        self.devices.contains(&EXIT_DEVICE).then(|| format!("device `{EXIT_DEVICE}`"))
    }

    /// The first of `devices` that it lacks.
    pub(super) fn of_devices(&self, devices: &[Device]) -> Option<&'static str> {
        let mut needed = devices.iter().filter_map(|&device| qemus_name(device));
        needed.find(|name| self.devices.contains(name))
    }

    /// The names of all parts that it lacks.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let types = self.machine_types.iter().map(|it| it.name());
        types.chain(self.devices.iter().copied()).collect()
    }
}

/// The devices to ask QEMU about, one by one. Its list of all would have it load every module that
/// it finds, those of another QEMU's in the system's folder included, of which it dies.
pub(super) fn devices() -> impl Iterator<Item = &'static str> {
    let used = [Device::Edu, Device::WatchdogCard].into_iter().filter_map(qemus_name);
    [EXIT_DEVICE].into_iter().chain(used)
}

/// The device's name in QEMU's list, if it is one that QEMU may be built without.
const fn qemus_name(device: Device) -> Option<&'static str> {
    match device {
        Device::Edu => Some("edu"),
        Device::WatchdogCard => Some("i6300esb"),
        Device::Button | Device::SharedMemory => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINES: &str = "Supported machines are:\n\
        pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-10.0)\n\
        q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)\n";
    const DEVICES: &str = "isa-debug-exit options:\n  iobase=<uint32>\nedu options:\n\
        There are no options for i6300esb.\n";

    #[test]
    fn what_is_not_listed_is_missing() {
        assert_eq!(Lacking::from_answers(MACHINES, DEVICES), Lacking::default());
        let fewer = Lacking::from_answers(
            &MACHINES.replace("pc  ", "none"),
            &DEVICES.replace("edu options:", "qemu: -device edu,help: Device 'edu' not found"),
        );
        assert_eq!(fewer.names(), ["pc", "edu"]);
        assert!(fewer.of_machine(MachineType::Pc).is_some_and(|what| what.contains("`pc`")));
        assert_eq!(fewer.of_machine(MachineType::Q35), None);
        assert_eq!(fewer.of_devices(&[Device::Button, Device::Edu]), Some("edu"));
        assert_eq!(fewer.of_devices(&[Device::WatchdogCard]), None);
    }

    #[test]
    fn no_machine_can_do_without_the_device_that_ends_it() {
        let lacking = Lacking::from_answers(MACHINES, &DEVICES.replace("isa-debug-exit", "x"));
        for machine_type in MachineType::ALL {
            assert!(lacking.of_machine(machine_type).is_some_and(|it| it.contains(EXIT_DEVICE)));
        }
    }
}
