// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds GRUB's rescue images, and checks that the tools are there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::Menu;
use crate::error::UserError;
use crate::guest::install::{self, Wanted};
use crate::private_dir::PrivateDir;
use crate::process;

/// Where GRUB keeps what runs on a PC's BIOS.
const PLATFORM: &str = "/usr/lib/grub/i386-pc";

/// Programs that are run, and what they are part of.
const TOOLS: [(&str, &str); 4] = [
    ("grub-mkrescue", "grub-common"),
    ("xorriso", "xorriso"),
    ("mformat", "mtools"),
    ("strip", "binutils"),
];

const WANTED: Wanted = Wanted {
    name: "GRUB",
    packages: &["grub-common", "grub-pc-bin", "xorriso", "mtools", "binutils"],
    elsewhere: "install GRUB 2 for BIOS machines (grub-mkrescue), xorriso, mtools and binutils \
                with your package manager",
    uninstalled: "",
    newest: false,
};

/// GRUB's tools, all there.
#[derive(Clone, Copy, Debug)]
pub struct Grub(());

impl Grub {
    /// Looks for what is needed.
    ///
    /// # Errors
    ///
    /// The names of what is missing.
    pub fn find() -> Result<Self, String> {
        let mut lacking: Vec<_> = TOOLS
            .iter()
            .filter(|(program, _)| !install::answers(program))
            .map(|(program, package)| format!("`{program}` ({package})"))
            .collect();
        if !Path::new(PLATFORM).is_dir() {
            lacking.push(format!("`{PLATFORM}` (grub-pc-bin)"));
        }
        if lacking.is_empty() { Ok(Self(())) } else { Err(lacking.join(", ")) }
    }

    /// Builds a bootable image of the kernel, with `menu`, in `output`.
    ///
    /// # Errors
    ///
    /// When a tool fails.
    pub(crate) fn build(&self, kernel: &Path, menu: &Menu, output: &Path) -> anyhow::Result<()> {
        let folder = PrivateDir::new().context("cannot make a temporary folder")?;
        let content = folder.path().join("content");
        let grub = content.join("boot/grub");
        fs::create_dir_all(&grub)?;
        fs::write(grub.join("grub.cfg"), menu.text())?;

        // The loader reads every section, and debug information is most of them.
        let mut strip = Command::new("strip");
        strip.arg("--strip-debug").arg("-o").arg(content.join(&Menu::KERNEL[1..])).arg(kernel);
        finish(&mut strip)?;

        let mut rescue = Command::new("grub-mkrescue");
        rescue.arg("--directory").arg(PLATFORM).args(["--locales=", "--fonts=", "--themes="]);
        // GRUB looks through all that is there, which takes Bochs a second.
        rescue.args(menu.modules().map(|needed| format!("--install-modules={needed}")));
        finish(rescue.arg("--output").arg(output).arg(&content))
    }
}

/// Finds the tools, or installs them if it may.
///
/// # Errors
///
/// [`UserError::ImageToolsMissing`] when something is missing and stays so.
pub fn find_or_install(yes: bool) -> anyhow::Result<Grub> {
    let Err(lacking) = Grub::find() else {
        return Ok(Grub(()));
    };
    match install::install_if_allowed(&WANTED, yes)? {
        Ok(()) => Grub::find().map_err(|lacking| {
            let remedy = String::from("its packages were installed, and that did not help");
            UserError::ImageToolsMissing { lacking, remedy }.into()
        }),
        Err(remedy) => Err(UserError::ImageToolsMissing { lacking, remedy }.into()),
    }
}

/// What to do where something is missing, for `doctor`.
pub(crate) fn remedy() -> String {
    format!("`apt-get install {}`", WANTED.packages.join(" "))
}

/// Runs a tool to its end, and shows its output if it fails.
fn finish(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let output = process::output(command).with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
