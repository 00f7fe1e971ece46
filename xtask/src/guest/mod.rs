// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reference kernel under QEMU: built, booted, listened to and judged.

pub mod boot;
pub mod button;
pub mod command;
pub mod install;
pub mod kernel;
pub mod qemu;
pub mod qmp;
pub mod verdict;
pub mod wire;

pub use boot::{Limits, Listener};
pub use verdict::{BootReport, Breakage, ScenarioOutcome, ScenarioReport};

use anyhow::Context as _;

use crate::catalog::Device;
use crate::machine::Machine;
use button::Button;

/// What every boot needs and only once has to be found or built.
#[derive(Clone, Debug)]
pub struct Host {
    /// The emulator.
    pub qemu: qemu::Qemu,
    /// The kernel image.
    pub kernel: kernel::Kernel,
}

/// One scenario as it is to be booted.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub(crate) scenario: &'static crate::catalog::Scenario,
    pub(crate) fault: Option<&'static str>,
}

impl Host {
    /// Boots `job` on `machine`, once for each boot that the catalogue lists, and judges what was seen.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be started or listened to. A guest that misbehaves is a verdict, not an error.
    pub fn run_job(
        &self,
        job: Job,
        machine: Machine,
        limits: Limits,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<ScenarioOutcome> {
        let mut boots = Vec::new();
        let devices = job.scenario.devices;
        for boot in job.scenario.boots {
            let has_button = devices.contains(&Device::Button);
            let mut button = has_button.then(Button::new).transpose().context("no button")?;
            let append = command::append(job, boot, machine);
            let argv = command::argv(&self.kernel.path, machine, devices, button.as_ref(), &append);
            listener.booting(&argv);
            let transcript = boot::run(&argv, button.as_mut(), limits, listener)?;
            boots.push((boot, verdict::judge(boot, machine, &transcript), transcript));
        }
        Ok(verdict::merge(job.scenario.name, boots))
    }
}
