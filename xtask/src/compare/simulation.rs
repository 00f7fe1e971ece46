// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side of the simulated machine: a program of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Setting;
use crate::explore;
use crate::guest::wire::Played;
use crate::process;

/// Builds the program from the source at `root`.
pub(crate) fn build(root: &Path, target_dir: &Path) -> anyhow::Result<PathBuf> {
    explore::build_program(root, target_dir, "latchwork-sequences")
}

/// The result of each sequence there.
pub(crate) fn play(program: &Path, setting: &Setting) -> anyhow::Result<Vec<Played>> {
    let mut command = Command::new(program);
    command
        .args(["--first-seed", &setting.first_seed.to_string()])
        .args(["--sequences", &setting.sequences.to_string()])
        .args(["--cpus", &setting.cpus.to_string()])
        .args(["--recovery", setting.recovery.name()])
        .args(["--apic", setting.apic.name()])
        .args(["--landing", setting.landing.name()]);
    let output = process::output(&mut command).context("cannot run the simulated machine")?;
    ensure!(output.status.success(), "the simulated machine could not play every sequence");
    let lines = String::from_utf8(output.stdout)?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("in the line {line}")))
        .collect()
}
