// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the reference kernel, boots it under QEMU or Bochs, listens to it and judges it.

pub mod bochs;
pub mod boot;
pub mod button;
pub mod command;
pub mod hosts;
pub mod install;
pub mod kernel;
mod monitor;
pub mod qemu;
pub mod qmp;
mod standstill;
mod symbols;
pub mod verdict;
pub mod wire;

pub use boot::{Limits, Listener};
pub use verdict::{BootReport, Breakage, ScenarioOutcome, ScenarioReport};

use std::path::Path;

use anyhow::Context as _;

use crate::catalog::{Boot, Device};
use crate::iso::Menu;
use crate::iso::grub::Grub;
use crate::machine::Machine;
use crate::private_dir::PrivateDir;
use boot::Controls;
use boot::{Deaf, Transcript};
use button::Button;
use command::Start;
use monitor::Monitor;

/// The emulator that boots the kernel, and how the kernel is loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// QEMU, which loads the kernel itself, by PVH.
    Kernel,
    /// QEMU with a disc, from which GRUB loads the kernel, by Multiboot2.
    Disc,
    /// Bochs with such a disc.
    Bochs,
}

/// One scenario, as we boot it.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub(crate) scenario: &'static crate::catalog::Scenario,
    pub(crate) fault: Option<&'static str>,
}

/// One boot of a scenario, with its machine.
#[derive(Clone, Copy, Debug)]
pub struct OneBoot {
    pub(crate) job: Job,
    pub(crate) boot: &'static Boot,
    pub(crate) machine: Machine,
}

impl OneBoot {
    /// The guest's kernel command line; `exit` names the device that ends its machine.
    fn append(&self, exit: &str) -> String {
        let Job { scenario, fault } = self.job;
        command::append(scenario, fault, self.boot, self.machine.apic, exit)
    }
}

/// What can boot the reference kernel.
pub trait Emulator: Send + Sync {
    /// Boots once, and listens until it is over.
    ///
    /// # Errors
    ///
    /// When the emulator cannot be started or listened to. A guest that misbehaves is a transcript,
    /// not an error.
    fn boot(
        &self,
        one: &OneBoot,
        limits: Limits,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<Transcript>;

    /// Boots an image, whose menu chooses by itself, and listens until the scenario is over.
    ///
    /// # Errors
    ///
    /// Those of [`Emulator::boot`].
    fn boot_image(
        &self,
        image: &Path,
        machine: Machine,
        limits: Limits,
    ) -> anyhow::Result<Transcript>;

    /// Boots `job` on `machine`, once for each boot that the catalogue lists, and judges the
    /// transcripts.
    ///
    /// # Errors
    ///
    /// Those of [`Emulator::boot`].
    fn run_job(
        &self,
        job: Job,
        machine: Machine,
        limits: Limits,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<ScenarioOutcome> {
        let mut boots = Vec::new();
        for boot in job.scenario.boots {
            let transcript = self.boot(&OneBoot { job, boot, machine }, limits, listener)?;
            boots.push((boot, verdict::judge(boot, machine, &transcript), transcript));
        }
        Ok(verdict::merge(job.scenario.name, boots))
    }
}

/// QEMU and the kernel, which every boot needs and which we find or build only once.
#[derive(Clone, Debug)]
pub struct Host {
    /// The emulator.
    pub qemu: qemu::Qemu,
    /// The kernel image.
    pub kernel: kernel::Kernel,
}

impl Emulator for Host {
    fn boot(
        &self,
        one: &OneBoot,
        limits: Limits,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<Transcript> {
        let append = one.append("isa-debug");
        let start = Start::Kernel { path: &self.kernel.path, append: &append };
        let devices = one.job.scenario.devices;
        run_qemu(self, start, devices, one.machine, limits, listener)
    }

    fn boot_image(
        &self,
        image: &Path,
        machine: Machine,
        limits: Limits,
    ) -> anyhow::Result<Transcript> {
        run_qemu(self, Start::Image(image), &[], machine, limits, &mut Deaf)
    }
}

/// QEMU as a machine with a disc drive: it boots the kernel from an image, by GRUB.
#[derive(Clone, Debug)]
pub struct DiscHost {
    /// What builds the image.
    pub grub: Grub,
    /// The emulator and the kernel.
    pub host: Host,
}

impl Emulator for DiscHost {
    fn boot(
        &self,
        one: &OneBoot,
        limits: Limits,
        listener: &mut dyn Listener,
    ) -> anyhow::Result<Transcript> {
        let folder = PrivateDir::new().context("cannot make a temporary folder")?;
        let image = folder.path().join("image.iso");
        let append = one.append("isa-debug");
        self.grub.build(&self.host.kernel.path, &Menu::of_one(&append), &image)?;
        let (start, devices) = (Start::Image(&image), one.job.scenario.devices);
        run_qemu(&self.host, start, devices, one.machine, limits, listener)
    }

    fn boot_image(
        &self,
        image: &Path,
        machine: Machine,
        limits: Limits,
    ) -> anyhow::Result<Transcript> {
        self.host.boot_image(image, machine, limits)
    }
}

fn run_qemu(
    host: &Host,
    start: Start<'_>,
    devices: &[Device],
    machine: Machine,
    limits: Limits,
    listener: &mut dyn Listener,
) -> anyhow::Result<Transcript> {
    let shares_memory = devices.contains(&Device::SharedMemory);
    let has_button = shares_memory || devices.contains(&Device::Button);
    let mut controls = if has_button {
        Controls::Button(Button::new(shares_memory)?)
    } else {
        Controls::Monitor(Monitor::new().context("cannot make a temporary folder")?)
    };
    let argv = command::argv(host.qemu.program(), start, machine, devices, &controls);
    listener.booting(&argv);
    boot::run(&argv, &host.kernel.path, &mut controls, limits, listener)
}
