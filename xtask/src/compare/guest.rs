// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side of the reference kernel: its scenario `sequences`, on QEMU or Bochs with the
//! deterministic clock.

use std::fmt;

use anyhow::ensure;

use super::Setting;
use crate::catalog::{Boot, SCENARIOS, Scenario};
use crate::error::UserError;
use crate::guest::bochs::{self, BochsHost};
use crate::guest::qemu::Qemu;
use crate::guest::wire::{Line, Played, Record};
use crate::guest::{Emulator, Host, Job, Limits, Listener, OneBoot, install, kernel};
use crate::iso::grub;
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::nearest;
use crate::run::EmulatorName;

const SCENARIO: &str = "sequences";

/// On Bochs an instruction takes much longer than the nanosecond that it takes under QEMU, so steps
/// without a wait would take as long as a wait.
const BOCHS_TIME_SCALE: u32 = 16;

/// Seconds of silence after which the guest hangs.
const SILENCE_S: u64 = 120;

fn scenario() -> &'static Scenario {
    let named = SCENARIOS.iter().find(|scenario| scenario.name == SCENARIO);
    named.expect("the catalogue has it")
}

/// The fault of that name.
pub(crate) fn fault_named(name: &str) -> Result<&'static str, UserError> {
    let faults = scenario().faults;
    let fault = faults.iter().find(|fault| fault.name == name);
    let known = || faults.iter().map(|fault| fault.name);
    fault.map(|fault| fault.name).ok_or_else(|| UserError::UnknownFault {
        name: name.to_owned(),
        question: nearest::question(name, known()),
        known: known().collect::<Vec<_>>().join(", "),
    })
}

/// The emulator that boots the kernel, the kind of PC, and the mistake that the kernel makes.
pub(crate) struct Guest {
    emulator: Box<dyn Emulator>,
    machine_type: MachineType,
    clock: Clock,
    /// The factor by which all waits and limits are longer than sequences say.
    time_scale: u32,
    fault: Option<&'static str>,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("machine_type", &self.machine_type)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// Collects the sequences that the kernel has played.
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
    /// Finds the emulator, or installs it, without asking if it `may_install`; builds the kernel.
    pub(crate) fn obtain(
        emulator: EmulatorName,
        apic: Apic,
        fault: Option<&'static str>,
        may_install: bool,
    ) -> anyhow::Result<Self> {
        Ok(match emulator {
            EmulatorName::Qemu => {
                Self::on_qemu(install::find_or_install(may_install)?, apic, fault)?
            }
            EmulatorName::Bochs => {
                let bochs = bochs::find_or_install(may_install)?;
                let grub = grub::find_or_install(may_install)?;
                Self {
                    emulator: Box::new(BochsHost { bochs, grub, kernel: kernel::obtain()? }),
                    machine_type: bochs::MACHINE_TYPE,
                    clock: bochs::CLOCK,
                    time_scale: BOCHS_TIME_SCALE,
                    fault,
                }
            }
        })
    }

    /// The same on this QEMU.
    pub(crate) fn on_qemu(
        qemu: Qemu,
        apic: Apic,
        fault: Option<&'static str>,
    ) -> anyhow::Result<Self> {
        let (machine_type, clock) = (MachineType::Q35, Clock::Deterministic);
        let machine = Machine { machine_type, cpus: 1, apic, clock };
        if let Some(why) = qemu.refuses(scenario(), machine) {
            return Err(UserError::NothingChosen(why).into());
        }
        Ok(Self {
            emulator: Box::new(Host { qemu, kernel: kernel::obtain()? }),
            machine_type,
            clock,
            time_scale: 1,
            fault,
        })
    }

    /// The result of each sequence there.
    pub(crate) fn play(&self, setting: &Setting) -> anyhow::Result<Vec<Played>> {
        let Setting { first_seed, sequences, cpus, recovery, apic, .. } = *setting;
        let words = format!(
            "recovery={} sequences={sequences} first-seed={first_seed} time-scale={}",
            recovery.name(),
            self.time_scale
        );
        // Boots of the catalogue are `'static`, and there are few of these.
        let boot: &'static Boot = Box::leak(Box::new(Boot {
            policy: "report",
            expect_stop: false,
            words: String::leak(words),
        }));
        let machine = Machine { machine_type: self.machine_type, cpus, apic, clock: self.clock };
        let job = Job { scenario: scenario(), fault: self.fault };
        let mut heard = Heard::default();
        let limits = Limits::from_silence_s(SILENCE_S);
        let transcript = self.emulator.boot(&OneBoot { job, boot, machine }, limits, &mut heard)?;
        let tail = || transcript.tail.iter().cloned().collect::<Vec<_>>().join("\n");
        ensure!(
            transcript.ended && transcript.unreadable.is_empty(),
            "the kernel did not play to its end, {:?}; its last lines:\n{}",
            transcript.ending,
            tail()
        );
        Ok(heard.0)
    }
}
