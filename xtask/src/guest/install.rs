// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installing a missing QEMU by apt.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::qemu::Qemu;
use crate::error::UserError;
use crate::workspace;

const PACKAGE: &str = "qemu-system-x86";

/// What decides whether QEMU may be installed.
#[derive(Clone, Copy, Debug)]
struct Circumstances {
    /// There is an `apt-get`.
    has_apt: bool,
    /// We run as root.
    is_root: bool,
    /// There is a `sudo`.
    has_sudo: bool,
    /// `--yes` was given, or this is a CI run.
    agreed: bool,
    /// Somebody can be asked.
    can_ask: bool,
}

/// What to do about a missing QEMU.
#[derive(Debug, Eq, PartialEq)]
enum Plan {
    Install,
    Ask,
    Refuse(String),
}

/// Finds QEMU, or installs it where that is allowed.
///
/// # Errors
///
/// [`UserError::QemuMissing`] when it is missing and stays so.
pub fn find_or_install(yes: bool) -> anyhow::Result<Qemu> {
    if let Some(qemu) = Qemu::find()? {
        return Ok(qemu);
    }
    let now = Circumstances::look(yes);
    match plan(now) {
        Plan::Install => {}
        Plan::Ask if ask()? => {}
        Plan::Ask => {
            return Err(UserError::QemuMissing { remedy: remedy(now) }.into());
        }
        Plan::Refuse(remedy) => return Err(UserError::QemuMissing { remedy }.into()),
    }
    install(now)?;
    Qemu::find()?
        .with_context(|| format!("{PACKAGE} was installed, but there is still no QEMU in PATH"))
}

fn plan(now: Circumstances) -> Plan {
    if !now.has_apt || !(now.is_root || now.has_sudo) {
        Plan::Refuse(remedy(now))
    } else if now.is_root || now.agreed {
        Plan::Install
    } else if now.can_ask {
        Plan::Ask
    } else {
        Plan::Refuse(remedy(now))
    }
}

fn remedy(now: Circumstances) -> String {
    if !now.has_apt {
        return String::from(
            "install QEMU for x86-64, release 9 or later for x2APIC, with your package manager",
        );
    }
    let again = if now.has_sudo { ", or say --yes to have that done" } else { "" };
    format!("run `apt-get install {PACKAGE}` as root{again}")
}

fn ask() -> anyhow::Result<bool> {
    eprint!("QEMU is not installed. Install {PACKAGE} with apt-get (by sudo)? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn install(now: Circumstances) -> anyhow::Result<()> {
    apt_get(now, &["update"])?;
    let suite = newer_suite();
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    if let Some(suite) = &suite {
        arguments.extend(["--target-release", suite]);
    }
    arguments.push(PACKAGE);
    apt_get(now, &arguments)
}

fn apt_get(now: Circumstances, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = if now.is_root { Command::new("apt-get") } else { Command::new("sudo") };
    if !now.is_root {
        command.arg("apt-get");
    }
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::from(io::stderr()));
    eprintln!("installing QEMU: apt-get {}", arguments.join(" "));
    let status = command.status().context("cannot run apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` failed ({status})", arguments.join(" "));
    }
    Ok(())
}

/// The backports suite, if the machine's sources name one that has the package: its QEMU is new enough for x2APIC.
fn newer_suite() -> Option<String> {
    let output = Command::new("apt-cache").args(["policy", PACKAGE]).output().ok()?;
    backports_suite(&String::from_utf8_lossy(&output.stdout))
}

fn backports_suite(policy: &str) -> Option<String> {
    let mut components = policy.split_whitespace().filter_map(|word| word.strip_suffix("/main"));
    components.find(|suite| suite.ends_with("-backports")).map(str::to_owned)
}

impl Circumstances {
    fn look(yes: bool) -> Self {
        Self {
            has_apt: answers("apt-get"),
            // SAFETY: geteuid reads a property of this process and cannot fail.
            is_root: unsafe { libc::geteuid() } == 0,
            has_sudo: answers("sudo"),
            agreed: yes || workspace::under_ci(),
            can_ask: io::stdin().is_terminal(),
        }
    }
}

fn answers(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Circumstances = Circumstances {
        has_apt: true,
        is_root: false,
        has_sudo: true,
        agreed: false,
        can_ask: false,
    };

    #[test]
    fn root_ci_and_yes_install_without_asking() {
        assert_eq!(plan(Circumstances { is_root: true, has_sudo: false, ..NOBODY }), Plan::Install);
        assert_eq!(plan(Circumstances { agreed: true, can_ask: true, ..NOBODY }), Plan::Install);
    }

    #[test]
    fn a_terminal_is_asked_and_nobody_is_not() {
        assert_eq!(plan(Circumstances { can_ask: true, ..NOBODY }), Plan::Ask);
        let Plan::Refuse(remedy) = plan(NOBODY) else { panic!("nobody agreed") };
        assert!(
            remedy.contains("apt-get install qemu-system-x86") && remedy.contains("--yes"),
            "{remedy}"
        );
    }

    #[test]
    fn what_cannot_work_is_not_tried() {
        let without_rights =
            Circumstances { has_sudo: false, agreed: true, can_ask: true, ..NOBODY };
        let Plan::Refuse(remedy) = plan(without_rights) else { panic!("neither root nor sudo") };
        assert!(!remedy.contains("--yes") && !remedy.contains('\n'), "{remedy}");
        assert!(matches!(
            plan(Circumstances { has_apt: false, is_root: true, ..NOBODY }),
            Plan::Refuse(_)
        ));
    }

    #[test]
    fn backports_are_preferred_where_the_sources_have_them() {
        let policy = "qemu-system-x86:\n  Version table:\n     1:10.0.2 100\n        100 http://mirror.example/debian \
                      bookworm-backports/main amd64 Packages\n     1:7.2 500\n        500 http://mirror.example/debian \
                      bookworm/main amd64 Packages\n";
        assert_eq!(backports_suite(policy).as_deref(), Some("bookworm-backports"));
        assert_eq!(backports_suite(&policy.replace("-backports", "")), None);
    }
}
