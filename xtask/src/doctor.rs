// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask doctor`: what this machine has, what it lacks, and what to do about it.

use std::path::Path;
use std::process::Command;

use crate::book::mdbook;
use crate::guest::bochs::{self, Bochs};
use crate::guest::install;
use crate::guest::kernel::{self, BARE_TARGET, bare_target_installed};
use crate::guest::qemu::{Qemu, limits};
use crate::iso::grub::{self, Grub};
use crate::machine::{Apic, Clock, Machine, MachineType};
use crate::table;

/// The oldest supported compiler: `rust-version` of the workspace.
const OLDEST_RUSTC: &str = env!("CARGO_PKG_RUST_VERSION");

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weight {
    Good,
    /// Worth knowing; nothing depends on it.
    Note,
    /// Something does not work without it.
    Missing,
}

#[derive(Debug)]
struct Finding {
    what: &'static str,
    saw: String,
    weight: Weight,
    remedy: String,
}

/// Prints what was found; the value says whether nothing needed is missing.
///
/// # Errors
///
/// None at present: it reports as missing what does not answer.
pub fn run() -> anyhow::Result<bool> {
    let mut findings = vec![rustc(), bare_target(), rust_lld(), linker()];
    findings.extend(qemu());
    findings.extend([kvm(), image_tools(), bochs(), book()]);

    let mut table = table::new(["what", "found", "", "remedy"]);
    for finding in &findings {
        let mark = match finding.weight {
            Weight::Good => "good",
            Weight::Note => "note",
            Weight::Missing => "MISSING",
        };
        table.add_row([finding.what, &finding.saw, mark, &finding.remedy]);
    }
    println!("{table}");
    Ok(findings.iter().all(|finding| finding.weight != Weight::Missing))
}

fn good(what: &'static str, saw: impl Into<String>) -> Finding {
    Finding { what, saw: saw.into(), weight: Weight::Good, remedy: String::new() }
}

fn note(what: &'static str, saw: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { what, saw: saw.into(), weight: Weight::Note, remedy: remedy.into() }
}

fn missing(what: &'static str, saw: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { what, saw: saw.into(), weight: Weight::Missing, remedy: remedy.into() }
}

fn rustc() -> Finding {
    let what = "rustc";
    let Some(text) = first_line("rustc", &["--version"]) else {
        return missing(what, "none", "install Rust by https://rustup.rs");
    };
    match (release(&text), release(&format!("rustc {OLDEST_RUSTC}"))) {
        (Some(found), Some(oldest)) if found >= oldest => {
            good(what, format!("{text}; {OLDEST_RUSTC} would do"))
        }
        _ => missing(
            what,
            text,
            format!("Latchwork needs {OLDEST_RUSTC} or later: `rustup update stable`"),
        ),
    }
}

fn bare_target() -> Finding {
    if bare_target_installed() {
        return good(BARE_TARGET, "installed, and used for the kernel");
    }
    let remedy = format!("for a kernel without SSE: `rustup target add {BARE_TARGET}`");
    note(BARE_TARGET, "not installed; the kernel is built for this machine's own target", remedy)
}

fn rust_lld() -> Finding {
    let what = "rust-lld";
    match kernel::rust_lld() {
        Some(_) => good(what, "in the toolchain"),
        None => {
            note(what, "not in the toolchain", format!("needed only to link for {BARE_TARGET}"))
        }
    }
}

fn book() -> Finding {
    let what = "mdBook";
    match mdbook::find() {
        Some(program) => good(what, program.display().to_string()),
        None => note(what, "none", "`cargo xtask book` builds it once, from source"),
    }
}

fn linker() -> Finding {
    match first_line("cc", &["--version"]) {
        Some(version) => good("cc", version),
        None => {
            missing("cc", "none", "`apt-get install gcc`: it links the kernel and the host tools")
        }
    }
}

/// QEMU, its parts and x2APIC.
fn qemu() -> [Finding; 3] {
    let (what, parts, x2apic) = ("QEMU", "QEMU's machines and devices", "x2APIC");
    match Qemu::find() {
        Ok(Some(qemu)) => {
            [good(what, qemu.to_string()), parts_of(parts, &qemu), x2apic_of(x2apic, &qemu)]
        }
        none => {
            let finding = match none {
                Err(error) => missing(what, "none that can be used", error.to_string()),
                Ok(_) => missing(what, "none", "`cargo xtask run --yes` installs it"),
            };
            [finding, note(parts, "no QEMU", "see above"), note(x2apic, "no QEMU", "see above")]
        }
    }
}

fn parts_of(what: &'static str, qemu: &Qemu) -> Finding {
    let lacking = qemu.lacks();
    if lacking.is_empty() {
        return good(what, "all that the scenarios use");
    }
    let remedy = "what needs them is skipped; Debian's qemu-system-x86 has them";
    missing(what, format!("built without {}", lacking.join(", ")), remedy)
}

fn x2apic_of(what: &'static str, qemu: &Qemu) -> Finding {
    let machine = Machine {
        machine_type: MachineType::Q35,
        cpus: 1,
        apic: Apic::X2apic,
        clock: Clock::Deterministic,
    };
    match limits::of_machine(qemu.version(), machine) {
        None => good(what, "this QEMU emulates it"),
        Some(limit) => note(what, limit.why, install::newer_qemu_remedy()),
    }
}

fn kvm() -> Finding {
    let saw = if Path::new("/dev/kvm").exists() { "there" } else { "not there" };
    Finding {
        what: "KVM",
        saw: format!("{saw}, and never used: boots are emulated (TCG), so that they repeat"),
        ..good("KVM", "")
    }
}

fn image_tools() -> Finding {
    let what = "GRUB's images";
    match Grub::find() {
        Ok(_) => good(what, "all that `cargo xtask iso` uses"),
        Err(lacking) => missing(what, format!("no {lacking}"), grub::remedy()),
    }
}

fn bochs() -> Finding {
    let what = "Bochs";
    match Bochs::find() {
        Ok(bochs) => good(what, bochs.version()),
        Err(lacking) => missing(what, format!("no {lacking}"), bochs::remedy()),
    }
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// Major and minor number in text like `rustc 1.95.0 (59807616e 2026-04-14)`.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_number_and_not_by_letter() {
        let old = release("rustc 1.9.0 (abc 2016-05-18)").expect("a release");
        let new = release("rustc 1.85.1").expect("a release");
        assert!(old < new);
        assert_eq!(release("rustc"), None);
    }

    #[test]
    fn the_oldest_compiler_is_known() {
        assert!(release(&format!("rustc {OLDEST_RUSTC}")).is_some());
    }
}
