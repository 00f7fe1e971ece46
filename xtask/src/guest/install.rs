// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installs missing tools by apt.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;

use super::qemu::Qemu;
use crate::error::UserError;
use crate::process::{self, interruption};
use crate::workspace;

/// What to install.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: &'static str,
    /// Debian's packages.
    pub(crate) packages: &'static [&'static str],
    /// What to do where there is no apt.
    pub(crate) elsewhere: &'static str,
    /// How to do without installing it, to be added to what else can be done; empty if there is no
    /// way.
    pub(crate) uninstalled: &'static str,
    /// Whether the backports suite is preferred.
    pub(crate) newest: bool,
}

const QEMU: Wanted = Wanted {
    name: "QEMU",
    packages: &["qemu-system-x86"],
    elsewhere: "install QEMU for x86-64, release 9 or later for x2APIC, with your package manager, \
                or name one by --qemu PATH",
    uninstalled: "; or change nothing on this system: `cargo xtask unpack SUITE` prints the path \
                  of a Debian suite's QEMU, for --qemu PATH",
    // Its QEMU is new enough for x2APIC.
    newest: true,
};

/// The facts by which we decide whether to install something.
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
    /// There is somebody to ask.
    can_ask: bool,
}

/// What to do about something missing.
#[derive(Debug, Eq, PartialEq)]
enum Plan {
    Install,
    Ask,
    Refuse(String),
}

/// Finds QEMU, or installs it if it may.
///
/// # Errors
///
/// [`UserError::QemuMissing`] when it is missing and stays so.
pub fn find_or_install(yes: bool) -> anyhow::Result<Qemu> {
    if let Some(qemu) = Qemu::find()? {
        return Ok(qemu);
    }
    if let Err(remedy) = install_if_allowed(&QEMU, yes)? {
        return Err(UserError::QemuMissing { remedy }.into());
    }
    Qemu::find()?.context("QEMU was installed, but there is still none in PATH")
}

/// What to do about a QEMU that is too old for the request: one command, where we know one.
pub(crate) fn newer_qemu_remedy() -> String {
    let package = QEMU.packages.join(" ");
    let install =
        |suite: &str| format!("`apt-get install --target-release {suite} {package}` as root");
    let or_named = "or name a newer one by --qemu PATH";
    if let Some(suite) = QEMU.packages.first().and_then(|package| newer_suite(package)) {
        return format!("run {}, {or_named}", install(&suite));
    }
    match debian_release(&fs::read_to_string("/etc/os-release").unwrap_or_default()) {
        Some(release) => {
            let suite = format!("{release}-backports");
            format!(
                "add the suite {suite} to apt's sources and run {}, {or_named}",
                install(&suite)
            )
        }
        None => String::from("name a newer one by --qemu PATH"),
    }
}

/// The name of the Debian release in the text of `/etc/os-release`.
fn debian_release(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let mut lines = os_release.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME"))?
}

/// Installs what is wanted, if it may; else the value is one line that says what to do.
///
/// # Errors
///
/// When apt fails.
pub(crate) fn install_if_allowed(wanted: &Wanted, yes: bool) -> anyhow::Result<Result<(), String>> {
    let now = Circumstances::look(yes);
    match plan(now, wanted) {
        Plan::Install => {}
        Plan::Ask if ask(wanted)? => {}
        Plan::Ask => return Ok(Err(remedy(now, wanted))),
        Plan::Refuse(remedy) => return Ok(Err(remedy)),
    }
    install(now, wanted)?;
    Ok(Ok(()))
}

fn plan(now: Circumstances, wanted: &Wanted) -> Plan {
    if !now.may_install() {
        Plan::Refuse(remedy(now, wanted))
    } else if now.agreed {
        Plan::Install
    } else if now.can_ask {
        Plan::Ask
    } else {
        Plan::Refuse(remedy(now, wanted))
    }
}

fn remedy(now: Circumstances, wanted: &Wanted) -> String {
    if !now.has_apt {
        return wanted.elsewhere.to_owned();
    }
    let again = if now.may_install() { ", or say --yes to have that done" } else { "" };
    let Wanted { packages, uninstalled, .. } = wanted;
    format!("run `apt-get install {}` as root{again}{uninstalled}", packages.join(" "))
}

fn ask(wanted: &Wanted) -> anyhow::Result<bool> {
    eprint!(
        "{} is not installed. Install {} with apt-get? [y/N] ",
        wanted.name,
        wanted.packages.join(" ")
    );
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn install(now: Circumstances, wanted: &Wanted) -> anyhow::Result<()> {
    eprintln!("installing {}", wanted.name);
    let failed = |arguments: &[&str], status: ExitStatus| UserError::InstallFailed {
        command: format!("apt-get {}", arguments.join(" ")),
        status: status.to_string(),
        uninstalled: wanted.uninstalled,
    };
    let update = ["update"];
    let status = apt_get(now, &update)?;
    if !status.success() {
        return Err(failed(&update, status).into());
    }
    let suite = wanted.packages.first().filter(|_| wanted.newest).and_then(|it| newer_suite(it));
    let mut choice = vec!["install", "--no-install-recommends"];
    if let Some(suite) = &suite {
        choice.extend(["--target-release", suite]);
    }
    choice.extend(wanted.packages);
    // The user has not agreed to lose a package.
    let arguments = [&["--yes", "--no-remove"][..], &choice[..]].concat();
    let status = apt_get(now, &arguments)?;
    if status.success() {
        return Ok(());
    }
    let removed = packages_in_the_way(&choice);
    if removed.is_empty() {
        return Err(failed(&arguments, status).into());
    }
    let sudo = if now.is_root { "" } else { "sudo " };
    Err(UserError::InstallWouldRemove {
        name: wanted.name,
        removed: removed.join(", "),
        command: format!("{sudo}apt-get {}", choice.join(" ")),
        uninstalled: wanted.uninstalled,
    }
    .into())
}

/// The packages that apt would remove if it were asked for that.
fn packages_in_the_way(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("apt-get");
    command.arg("--simulate").args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = process::output(&mut command);
    output.map_or_else(|_| Vec::new(), |it| removed(&String::from_utf8_lossy(&it.stdout)))
}

/// The packages that a simulation of apt's removes.
fn removed(simulation: &str) -> Vec<String> {
    let packages = simulation.lines().filter_map(|line| line.strip_prefix("Remv "));
    packages.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Runs apt-get as root, and says how that ended.
fn apt_get(now: Circumstances, arguments: &[&str]) -> anyhow::Result<ExitStatus> {
    let mut command = if now.is_root { Command::new("apt-get") } else { Command::new("sudo") };
    if !now.is_root {
        command.arg("apt-get");
    }
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::from(io::stderr()));
    eprintln!("apt-get {}", arguments.join(" "));
    // Not one of the children that we kill: nothing may stop it amid its work.
    let status = command.status().context("cannot run apt-get")?;
    interruption::check()?;
    Ok(status)
}

/// The backports suite, if the machine's sources name one that has the package.
fn newer_suite(package: &str) -> Option<String> {
    let output = Command::new("apt-cache").args(["policy", package]).output().ok()?;
    backports_suite(&String::from_utf8_lossy(&output.stdout))
}

fn backports_suite(policy: &str) -> Option<String> {
    let mut components = policy.split_whitespace().filter_map(|word| word.strip_suffix("/main"));
    components.find(|suite| suite.ends_with("-backports")).map(str::to_owned)
}

impl Circumstances {
    const fn may_install(self) -> bool {
        self.has_apt && (self.is_root || self.has_sudo)
    }

    fn look(yes: bool) -> Self {
        Self {
            has_apt: answers("apt-get"),
            is_root: nix::unistd::geteuid().is_root(),
            has_sudo: answers("sudo"),
            agreed: yes || workspace::under_ci(),
            can_ask: io::stdin().is_terminal(),
        }
    }
}

/// Whether there is such a program.
pub(crate) fn answers(program: &str) -> bool {
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

    fn plan_for(now: Circumstances) -> Plan {
        plan(now, &QEMU)
    }

    #[test]
    fn ci_and_yes_install_without_asking() {
        for is_root in [false, true] {
            let agreed = Circumstances { is_root, agreed: true, can_ask: true, ..NOBODY };
            assert_eq!(plan_for(agreed), Plan::Install);
        }
    }

    #[test]
    fn root_has_not_agreed_either() {
        let root = Circumstances { is_root: true, has_sudo: false, ..NOBODY };
        assert_eq!(plan_for(Circumstances { can_ask: true, ..root }), Plan::Ask);
        let Plan::Refuse(remedy) = plan_for(root) else { panic!("nobody agreed") };
        assert!(remedy.contains("--yes"), "{remedy}");
    }

    #[test]
    fn a_terminal_is_asked_and_nobody_is_not() {
        assert_eq!(plan_for(Circumstances { can_ask: true, ..NOBODY }), Plan::Ask);
        let Plan::Refuse(remedy) = plan_for(NOBODY) else { panic!("nobody agreed") };
        assert!(
            remedy.contains("apt-get install qemu-system-x86") && remedy.contains("--yes"),
            "{remedy}"
        );
    }

    #[test]
    fn what_cannot_work_is_not_tried() {
        let without_rights =
            Circumstances { has_sudo: false, agreed: true, can_ask: true, ..NOBODY };
        let Plan::Refuse(remedy) = plan_for(without_rights) else {
            panic!("neither root nor sudo")
        };
        assert!(!remedy.contains("--yes") && !remedy.contains('\n'), "{remedy}");
        assert!(matches!(
            plan_for(Circumstances { has_apt: false, is_root: true, ..NOBODY }),
            Plan::Refuse(_)
        ));
    }

    #[test]
    fn backports_are_preferred_where_the_sources_have_them() {
        let policy = "qemu-system-x86:\n  Version table:\n     1:10.0.2 100\n        100 \
                      http://mirror.example/debian \
                      bookworm-backports/main amd64 Packages\n     1:7.2 500\n        500 \
                      http://mirror.example/debian \
                      bookworm/main amd64 Packages\n";
        assert_eq!(backports_suite(policy).as_deref(), Some("bookworm-backports"));
        assert_eq!(backports_suite(&policy.replace("-backports", "")), None);
    }

    #[test]
    fn what_apt_would_remove_is_read_from_its_simulation() {
        let simulation = "Reading package lists...\nRemv qemu-utils [1:10.0]\nInst a [1] (2 b)\n\
                          Remv qemu-block-extra:amd64 [1:10.0]\nConf a (2 b)\n";
        assert_eq!(removed(simulation), ["qemu-utils", "qemu-block-extra:amd64"]);
        assert!(removed("Inst a [1] (2 b)\n").is_empty());
    }

    #[test]
    fn a_debian_release_is_known_by_its_name() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(debian_release(text).as_deref(), Some("bookworm"));
        assert_eq!(debian_release(&text.replace("ID=debian", "ID=other")), None);
        assert_eq!(debian_release(""), None);
    }
}
