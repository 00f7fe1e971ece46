// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oldest supported compiler, the targets that the crates promise, and packaging.
//!
//! Debian's `rustc-web` and `rust-web-src` of the oldest release give a compiler and its library's
//! source, so that targets without a prebuilt library can be built (`-Zbuild-std`). `.ci/run`
//! installs them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::boots::{self, Place};
use super::commands::{Check, TARGET};
use super::log::Log;
use super::outcome::Outcome;
use super::step::{Group, Resource, Step};
use crate::cells::Cell;
use crate::guest::Host;
use crate::guest::kernel::{self, BARE_TARGET, Kernel};
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::workspace;

/// The oldest supported compiler: `rust-version` of the workspace.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The variable that names the oldest compiler's program, where it is not Debian's.
const OLDEST_RUSTC: &str = "LATCHWORK_OLDEST_RUSTC";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The machine that boots the kernel for [`BARE_TARGET`].
const BOOTED_ON: Machine = Machine {
    machine_type: MachineType::Q35,
    cpus: 4,
    apic: Apic::Xapic,
    clock: Clock::Deterministic,
};

/// Every step of compilers, targets and packages. They boot their kernel at `place`.
pub(super) fn steps(place: &Place) -> Vec<Step> {
    let mut steps = vec![packages()];
    let compiler = match oldest_compiler() {
        Ok(compiler) => compiler,
        Err(reason) => {
            let fail = move |_: &Log| Outcome::Failed(reason);
            steps.push(Step::new(named("compiler"), Group::Toolchains, fail));
            return steps;
        }
    };
    steps.push(step(check("host", "build -p latchwork -p latchwork-x86", &compiler)));
    // Also whoever types `cargo xtask run` is promised that it is enough.
    steps.push(step(check("xtask", "check -p xtask", &compiler)));
    // The last one's library is built optimised for the kernel anyhow.
    for (target, arguments) in [
        ("i686-unknown-linux-gnu", "-p latchwork"),
        ("aarch64-unknown-none", "-p latchwork"),
        (BARE_TARGET, "-p latchwork -p latchwork-x86 --release"),
    ] {
        let build = check(target, &format!("build {arguments} --target {target}"), &compiler);
        steps.push(step(with_library(build)));
    }
    steps.extend(bare_kernel(&compiler, place));
    steps
}

/// Both library crates, packed and built from what was packed.
fn packages() -> Step {
    let arguments = "package -p latchwork -p latchwork-x86 --allow-dirty";
    let mut step = Check::cargo("package", arguments).step().using(TARGET).about(10.0);
    step.group = Group::Toolchains;
    step
}

fn step(check: Check) -> Step {
    let mut step = check.step().using(Resource::Builds("oldest")).about(15.0);
    step.group = Group::Toolchains;
    step
}

fn named(what: &str) -> String {
    format!("rust-{OLDEST}::{what}")
}

fn oldest_compiler() -> Result<PathBuf, String> {
    let path = env::var_os(OLDEST_RUSTC).map_or_else(|| PathBuf::from(DEBIAN_RUSTC), PathBuf::from);
    let remedy =
        "install Debian's rustc-web and rust-web-src of that release, or name a compiler in";
    match Command::new(&path).arg("--version").output() {
        Ok(output)
            if String::from_utf8_lossy(&output.stdout).starts_with(&format!("rustc {OLDEST}.")) =>
        {
            Ok(path)
        }
        Ok(_) => Err(format!("{} is not rustc {OLDEST}: {remedy} {OLDEST_RUSTC}", path.display())),
        Err(error) => Err(format!("{}: {error}: {remedy} {OLDEST_RUSTC}", path.display())),
    }
}

fn build_dir() -> PathBuf {
    workspace::target_dir().join("oldest")
}

fn check(name: &str, arguments: &str, compiler: &Path) -> Check {
    Check::cargo(&named(name), arguments)
        .with("RUSTC", &compiler.to_string_lossy())
        .with("CARGO_TARGET_DIR", &build_dir().to_string_lossy())
}

/// Makes cargo build `core` along, from the compiler's own source.
fn with_library(check: Check) -> Check {
    let library = "-Zbuild-std=core -Zbuild-std-features=compiler-builtins-mem";
    check.and_arguments(library).with("RUSTC_BOOTSTRAP", "1")
}

/// The kernel for [`BARE_TARGET`], built and booted.
fn bare_kernel(compiler: &Path, place: &Place) -> Vec<Step> {
    let arguments = format!("build --release -p latchwork-kernel --target {BARE_TARGET}");
    let mut build = with_library(check("kernel", &arguments, compiler));
    if let Some(linker) = kernel::rust_lld() {
        build = build.with("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", &linker.to_string_lossy());
    }
    let mut steps = vec![step(build)];
    for cell in Cell::every_scenario_on(BOOTED_ON) {
        let (seconds, own) = (cell.guess_s(), place.clone());
        let boot = Step::new(named(&cell.name()), Group::Toolchains, move |_| boot(&cell, &own));
        steps.push(boot.after(named("kernel")).after(place.step()).about(seconds));
    }
    steps
}

fn boot(cell: &Cell, place: &Place) -> Outcome {
    let path = build_dir().join(BARE_TARGET).join("release").join(kernel::PACKAGE);
    let kernel = Kernel { path, target: Some(BARE_TARGET.to_owned()) };
    let Some(qemu) = place.qemu() else {
        return boots::missing(String::from("there is no QEMU"));
    };
    match cell.refusal(qemu) {
        Some(why) => Outcome::Skipped(why),
        None => boots::verdict(cell.verify(&Host { qemu: qemu.clone(), kernel })),
    }
}
