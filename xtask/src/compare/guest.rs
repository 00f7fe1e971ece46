// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side of the reference kernel: its scenario `sequences`, on QEMU with the deterministic clock.

use anyhow::ensure;

use super::{Setting, unknown_fault};
use crate::catalog::{Boot, SCENARIOS, Scenario};
use crate::error::UserError;
use crate::guest::wire::{Line, Played, Record};
use crate::guest::{Emulator as _, Host, Job, Limits, Listener, OneBoot};
use crate::machine::{Clock, Machine, MachineType};

const SCENARIO: &str = "sequences";

/// Seconds of silence after which the guest hangs.
const SILENCE_S: u64 = 60;

fn scenario() -> &'static Scenario {
    let named = SCENARIOS.iter().find(|scenario| scenario.name == SCENARIO);
    named.expect("the catalogue has it")
}

/// The fault of that name.
pub(crate) fn fault_named(name: &str) -> Result<&'static str, UserError> {
    let faults = scenario().faults;
    let known = || faults.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    let fault = faults.iter().find(|fault| fault.name == name);
    fault.map(|fault| fault.name).ok_or_else(|| unknown_fault(name, known()))
}

/// What boots the kernel, and the mistake that it is to make.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) host: Host,
    pub(crate) fault: Option<&'static str>,
}

/// Collects what the kernel has played.
#[derive(Debug, Default)]
struct Heard(Vec<Played>);

impl Listener for Heard {
    fn booting(&mut self, _argv: &[String]) {}

    fn line(&mut self, line: &Line) {
        if let Line::Record(Record::Played(played)) = line {
            self.0.push(played.clone());
        }
    }
}

impl Guest {
    /// What comes of each sequence there.
    pub(crate) fn play(&self, setting: &Setting) -> anyhow::Result<Vec<Played>> {
        let Setting { first_seed, sequences, cpus, recovery, apic, .. } = *setting;
        let words =
            format!("recovery={} sequences={sequences} first-seed={first_seed}", recovery.name());
        // A boot of the catalogue lives for ever, and there are few of these.
        let boot: &'static Boot = Box::leak(Box::new(Boot {
            policy: "report",
            expect_stop: false,
            words: String::leak(words),
        }));
        let machine =
            Machine { machine_type: MachineType::Q35, cpus, apic, clock: Clock::Deterministic };
        let job = Job { scenario: scenario(), fault: self.fault };
        let mut heard = Heard::default();
        let limits = Limits::from_silence_s(SILENCE_S);
        let transcript = self.host.boot(&OneBoot { job, boot, machine }, limits, &mut heard)?;
        let tail = || transcript.tail.iter().cloned().collect::<Vec<_>>().join("\n");
        ensure!(
            transcript.ended && transcript.unreadable.is_empty(),
            "the kernel did not play to its end; its last lines:\n{}",
            tail()
        );
        Ok(heard.0)
    }
}
