// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask iso`: a GRUB rescue image that boots the reference kernel, on an emulator or on a real machine.

pub mod grub;
mod menu;
#[cfg(test)]
mod multiboot2_tests;
mod trial;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::guest::kernel;
use crate::{catalog, workspace};
use grub::Grub;
pub(crate) use menu::Menu;
pub use trial::Trial;

/// The options of `iso`.
#[derive(Args, Debug)]
pub struct Options {
    /// Where the image goes (default: `latchwork.iso` in the folder for build products)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Install missing tools without asking
    #[arg(long)]
    yes: bool,
}

/// Builds the image; the value says that it did.
///
/// # Errors
///
/// A [`crate::error::UserError`] if a tool is missing and stays so; others when the kernel or the image does not build.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let grub = grub::find_or_install(options.yes)?;
    let kernel = kernel::obtain()?;
    let output =
        options.output.clone().unwrap_or_else(|| workspace::target_dir().join("latchwork.iso"));
    build_with_every_scenario(&grub, &kernel, &output)?;
    println!("{}", output.display());
    Ok(true)
}

/// A menu of every boot that needs no device of an emulator.
fn build_with_every_scenario(
    grub: &Grub,
    kernel: &kernel::Kernel,
    output: &Path,
) -> anyhow::Result<()> {
    let mut menu = Menu::for_people();
    for scenario in catalog::SCENARIOS.iter().filter(|scenario| scenario.devices.is_empty()) {
        for boot in scenario.boots {
            menu.add(scenario, boot);
        }
    }
    grub.build(&kernel.path, &menu, output)
}
