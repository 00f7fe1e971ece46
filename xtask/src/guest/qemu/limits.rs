// SPDX-License-Identifier: MIT OR Apache-2.0
//! What QEMU cannot do in some of its releases: one table, which xtask consults before it boots
//! anything.

use super::Version;
use crate::catalog::{Device, Scenario};
use crate::machine::{Apic, Clock, Machine, MachineType};

/// The oldest release on which we have tried every scenario (besides 7.2, 10.0 and 11.1). xtask
/// refuses older ones.
pub(crate) const OLDEST: Version = Version::of(5, 2);

/// What the releases in a range cannot do. A condition that is `None` is always met.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The first release that has it.
    since: Option<Version>,
    /// The first release that no longer has it.
    until: Option<Version>,
    /// Its scenario by name; with this and `device` both `None`, no scenario can run.
    scenario: Option<&'static str>,
    /// Scenarios that need this device.
    device: Option<Device>,
    machine_type: Option<MachineType>,
    apic: Option<Apic>,
    clock: Option<Clock>,
    /// One line that says what the release lacks or does wrong.
    pub(crate) why: &'static str,
}

/// A limit without conditions.
const ANY: Limit = Limit {
    since: None,
    until: None,
    scenario: None,
    device: None,
    machine_type: None,
    apic: None,
    clock: None,
    why: "",
};

const LIMITS: &[Limit] = &[Limit {
    until: Some(Version::of(9, 0)),
    apic: Some(Apic::X2apic),
    why: "it does not emulate x2APIC, which QEMU does from release 9.0 on",
    ..ANY
}];

/// Why no scenario at all can run on `machine` under this release, if none can.
pub(crate) fn of_machine(version: Version, machine: Machine) -> Option<&'static Limit> {
    first_of(LIMITS, |limit| limit.is_general() && limit.holds_on(version, machine))
}

/// Why `scenario` cannot run on `machine` under this release, if it cannot.
pub(crate) fn of_scenario(
    version: Version,
    scenario: &Scenario,
    machine: Machine,
) -> Option<&'static Limit> {
    first_of(LIMITS, |limit| limit.affects(scenario) && limit.holds_on(version, machine))
}

fn first_of(limits: &'static [Limit], holds: impl Fn(&Limit) -> bool) -> Option<&'static Limit> {
    limits.iter().find(|limit| holds(limit))
}

impl Limit {
    const fn is_general(&self) -> bool {
        self.scenario.is_none() && self.device.is_none()
    }

    fn affects(&self, scenario: &Scenario) -> bool {
        self.scenario.is_none_or(|name| name == scenario.name)
            && self.device.is_none_or(|device| scenario.devices.contains(&device))
    }

    fn holds_on(&self, version: Version, machine: Machine) -> bool {
        self.since.is_none_or(|since| version >= since)
            && self.until.is_none_or(|until| version < until)
            && self.machine_type.is_none_or(|it| it == machine.machine_type)
            && self.apic.is_none_or(|it| it == machine.apic)
            && self.clock.is_none_or(|it| it == machine.clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;

    const MACHINE: Machine = Machine {
        machine_type: MachineType::Q35,
        cpus: 4,
        apic: Apic::Xapic,
        clock: Clock::Deterministic,
    };

    #[test]
    fn x2apic_needs_qemu_9() {
        let x2apic = Machine { apic: Apic::X2apic, ..MACHINE };
        let limit = of_machine(Version::of(8, 2), x2apic).expect("too old");
        assert!(limit.why.contains("x2APIC"), "{limit:?}");
        assert!(of_machine(Version::of(9, 0), x2apic).is_none());
        assert!(of_machine(Version::of(8, 2), MACHINE).is_none());
        for scenario in SCENARIOS {
            assert!(of_scenario(Version::of(8, 2), scenario, x2apic).is_some());
        }
    }

    #[test]
    fn every_condition_of_a_limit_must_be_met() {
        let scenario = SCENARIOS.iter().find(|it| !it.devices.is_empty()).expect("one has some");
        let [device, ..] = scenario.devices else { panic!("devices") };
        let other = SCENARIOS.iter().find(|it| it.devices.is_empty()).expect("one has none");
        let limit = Limit {
            since: Some(Version::of(8, 0)),
            until: Some(Version::of(8, 2)),
            device: Some(*device),
            clock: Some(Clock::Deterministic),
            ..ANY
        };
        assert!(limit.affects(scenario) && !limit.affects(other) && !limit.is_general());
        assert!(limit.holds_on(Version::of(8, 0), MACHINE));
        assert!(limit.holds_on(Version::of(8, 1), MACHINE));
        for outside in [Version::of(7, 2), Version::of(8, 2)] {
            assert!(!limit.holds_on(outside, MACHINE), "{outside}");
        }
        let parallel = Machine { clock: Clock::Parallel, ..MACHINE };
        assert!(!limit.holds_on(Version::of(8, 1), parallel));
    }

    #[test]
    fn every_row_can_be_met_by_a_supported_release_and_names_what_there_is() {
        for limit in LIMITS {
            assert!(limit.until.is_none_or(|until| until > OLDEST), "{limit:?} is of no use");
            let named = |name| SCENARIOS.iter().any(|scenario| scenario.name == name);
            assert!(limit.scenario.is_none_or(named), "{limit:?} names no scenario");
            assert!(!limit.why.is_empty() && !limit.why.contains('\n'), "{limit:?}");
        }
    }
}
