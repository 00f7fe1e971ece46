// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel image: built here, or given ready.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, bail};

use crate::error::UserError;
use crate::{process, workspace};

/// The target without an operating system, preferred where its `core` is installed.
pub const BARE_TARGET: &str = "x86_64-unknown-none";

/// The kernel's package and image.
pub(crate) const PACKAGE: &str = "latchwork-kernel";

/// The variable that names a ready image to boot instead of one built here.
const READY_IMAGE: &str = "LATCHWORK_KERNEL";

/// A bootable image.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where it is.
    pub path: PathBuf,
    /// The target it was built for; of a ready image only the guest itself knows.
    pub target: Option<String>,
}

/// Builds the kernel, or takes the image that `LATCHWORK_KERNEL` names. Cargo's messages go to
/// standard error.
///
/// # Errors
///
/// When it does not build, or [`UserError::KernelMissing`].
pub fn obtain() -> anyhow::Result<Kernel> {
    if let Some(path) = env::var_os(READY_IMAGE) {
        let path = fs::canonicalize(&path).unwrap_or_else(|_| PathBuf::from(path));
        if !path.is_file() {
            return Err(UserError::KernelMissing { path: path.display().to_string() }.into());
        }
        return Ok(Kernel { path, target: None });
    }
    build(workspace::root(), &workspace::target_dir())
}

/// Builds the kernel from the source in `source`, with build products in `target_dir`.
pub(crate) fn build(source: &Path, target_dir: &Path) -> anyhow::Result<Kernel> {
    workspace::check_target_dir(target_dir)?;
    let bare = bare_target_installed();
    let mut command = workspace::cargo();
    command.current_dir(source).env("CARGO_TARGET_DIR", target_dir);
    command.args([
        "build",
        "--release",
        "--package",
        PACKAGE,
        "--message-format=json-render-diagnostics",
    ]);
    if bare {
        command.args(["--target", BARE_TARGET]);
    }
    let output = process::output(&mut command).context("cannot run cargo")?;
    if !output.status.success() {
        workspace::check_space(target_dir)?;
        bail!("the kernel does not build; cargo says why above");
    }
    let path = executable(&String::from_utf8_lossy(&output.stdout), PACKAGE)
        .context("cargo named no kernel image")?;
    let target = if bare { BARE_TARGET.to_owned() } else { host_target()? };
    Ok(Kernel { path, target: Some(target) })
}

/// The executable called `name` in cargo's JSON messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Whether the active toolchain has a `core` for [`BARE_TARGET`].
pub(crate) fn bare_target_installed() -> bool {
    let output =
        Command::new("rustc").args(["--print", "target-libdir", "--target", BARE_TARGET]).output();
    output.is_ok_and(|output| {
        output.status.success()
            && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

/// The linker that the active toolchain brings along, if it does.
pub(crate) fn rust_lld() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
    let libdir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let path = libdir.with_file_name("bin").join("rust-lld");
    path.is_file().then_some(path)
}

/// The target that this toolchain builds for by itself.
pub(crate) fn host_target() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"pvh"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"latchwork-kernel"},"executable":"/t/release/latchwork-kernel"}"#;
        assert_eq!(
            executable(messages, PACKAGE),
            Some(PathBuf::from("/t/release/latchwork-kernel"))
        );
        assert_eq!(executable(messages, "other"), None);
    }

    #[test]
    fn the_host_target_is_a_triple() {
        assert!(host_target().expect("rustc is there").split('-').count() >= 3);
    }
}
