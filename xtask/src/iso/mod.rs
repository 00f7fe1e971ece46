// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask iso`: a GRUB rescue image that boots the reference kernel, on an emulator or on a
//! real machine.

pub mod grub;
mod menu;
#[cfg(test)]
mod multiboot2_tests;
mod trial;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::UserError;
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
/// A [`UserError`] if a tool is missing and stays so, or the image cannot be written to its path;
/// others when the kernel or the image does not build.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if let Some(output) = &options.output {
        check_output(output)?;
    }
    let grub = grub::find_or_install(options.yes)?;
    let kernel = kernel::obtain()?;
    let output =
        options.output.clone().unwrap_or_else(|| workspace::target_dir().join("latchwork.iso"));
    build_with_every_scenario(&grub, &kernel, &output)?;
    println!("{}", output.display());
    Ok(true)
}

/// Refuses a path that the image cannot have, before it builds anything.
fn check_output(output: &Path) -> Result<(), UserError> {
    let refuse = |why| Err(UserError::NoImageThere { path: output.display().to_string(), why });
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if output.is_dir() {
        return refuse("it is a folder");
    }
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return refuse("its folder is not there");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_no_image_can_have_is_refused_by_name() {
        let there = crate::private_dir::PrivateDir::new().expect("made");
        let refused = |path: &Path| check_output(path).expect_err("refused").to_string();
        assert!(refused(there.path()).contains("it is a folder"));
        let missing = there.path().join("no").join("x.iso");
        let text = refused(&missing);
        assert!(text.contains("its folder is not there") && text.contains("x.iso"), "{text}");
        assert_eq!(check_output(&there.path().join("x.iso")), Ok(()));
        assert_eq!(check_output(Path::new("x.iso")), Ok(()));
    }
}
