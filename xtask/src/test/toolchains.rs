// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oldest supported compiler, the targets that the crates promise, and packaging.
//!
//! Debian's `rustc-web` and `rust-web-src` of the oldest release give a compiler and its library's source, so that targets
//! without a prebuilt library can be built (`-Zbuild-std`). `.ci/run` installs them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::commands::Check;
use super::outcome::{Outcome, Row};
use super::timed;
use crate::cells::Cell;
use crate::guest::kernel::{self, BARE_TARGET, Kernel};
use crate::guest::{Host, install};
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::workspace;

/// The oldest supported compiler: `rust-version` of the workspace.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Names the oldest compiler's program, where it is not Debian's.
const OLDEST_RUSTC: &str = "LATCHWORK_OLDEST_RUSTC";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Where the kernel without an operating system's target is booted.
const BOOTED_ON: Machine = Machine {
    machine_type: MachineType::Q35,
    cpus: 4,
    apic: Apic::Xapic,
    clock: Clock::Deterministic,
};

/// Every check of compilers, targets and packages.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![packages()];
    let compiler = match oldest_compiler() {
        Ok(compiler) => compiler,
        Err(reason) => {
            rows.push(timed(&format!("rustc {OLDEST}"), || Outcome::Failed(reason)));
            return rows;
        }
    };
    let host = check("host target", "build -p latchwork -p latchwork-x86", &compiler);
    rows.push(timed(&host.name, || host.run()));
    for (target, packages) in [
        ("i686-unknown-linux-gnu", "-p latchwork"),
        ("aarch64-unknown-none", "-p latchwork"),
        (BARE_TARGET, "-p latchwork -p latchwork-x86"),
    ] {
        let check =
            with_library(check(target, &format!("build {packages} --target {target}"), &compiler));
        rows.push(timed(&check.name, || check.run()));
    }
    rows.extend(bare_kernel(&compiler));
    rows
}

/// Both library crates, packed and built from what was packed.
fn packages() -> Row {
    let check =
        Check::cargo("cargo package", "package -p latchwork -p latchwork-x86 --allow-dirty");
    timed("cargo package", || check.run())
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
    Check::cargo(&format!("rustc {OLDEST}: {name}"), arguments)
        .with("RUSTC", &compiler.to_string_lossy())
        .with("CARGO_TARGET_DIR", &build_dir().to_string_lossy())
}

/// Has `core` built along, from the compiler's own source.
fn with_library(check: Check) -> Check {
    let library =
        "-Zbuild-std=core,alloc,compiler_builtins -Zbuild-std-features=compiler-builtins-mem";
    check.and_arguments(library).with("RUSTC_BOOTSTRAP", "1")
}

/// The kernel for [`BARE_TARGET`], built and booted.
fn bare_kernel(compiler: &Path) -> Vec<Row> {
    let arguments = format!("build --release -p latchwork-kernel --target {BARE_TARGET}");
    let mut build = with_library(check(&format!("kernel for {BARE_TARGET}"), &arguments, compiler));
    if let Some(linker) = kernel::rust_lld() {
        build = build.with("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", &linker.to_string_lossy());
    }
    let built = timed(&build.name, || build.run());
    if !built.passed() {
        return vec![built];
    }
    let image = build_dir().join(BARE_TARGET).join("release").join(kernel::PACKAGE);
    let mut rows = vec![built];
    for cell in Cell::every_scenario_on(BOOTED_ON) {
        rows.push(timed(&format!("{BARE_TARGET}: {}", cell.name()), || boot(&cell, &image)));
    }
    rows
}

fn boot(cell: &Cell, image: &Path) -> Outcome {
    let kernel = Kernel { path: image.to_owned(), target: Some(BARE_TARGET.to_owned()) };
    match install::find_or_install(false) {
        Ok(qemu) => {
            cell.verify(&Host { qemu, kernel }).map_or_else(Outcome::Failed, |()| Outcome::Passed)
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}
