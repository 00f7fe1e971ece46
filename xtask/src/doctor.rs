// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask doctor`: what this machine has, what it lacks, and what to do about it.

use std::path::Path;
use std::process::Command;

use crate::book::mdbook;
use crate::error::X2APIC_REMEDY;
use crate::guest::bochs::{self, Bochs};
use crate::guest::kernel::{self, BARE_TARGET, bare_target_installed};
use crate::guest::qemu::Qemu;
use crate::iso::grub::{self, Grub};
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
/// None at present: what cannot be asked is reported as missing.
pub fn run() -> anyhow::Result<bool> {
    let findings = [
        rustc(),
        bare_target(),
        rust_lld(),
        linker(),
        qemu(),
        qemu_parts(),
        x2apic(),
        kvm(),
        image_tools(),
        bochs(),
        book(),
    ];

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

fn qemu() -> Finding {
    match Qemu::find() {
        Ok(Some(qemu)) => good("QEMU", qemu.version.to_string()),
        Ok(None) => {
            missing("QEMU", "none", "`apt-get install qemu-system-x86`, or `cargo xtask run --yes`")
        }
        Err(error) => {
            missing("QEMU", format!("{error:#}"), "`apt-get install --reinstall qemu-system-x86`")
        }
    }
}

fn qemu_parts() -> Finding {
    let what = "QEMU's machines and devices";
    let Ok(Some(qemu)) = Qemu::find() else {
        return note(what, "no QEMU", "see above");
    };
    match qemu.lacks() {
        Ok(lacking) if lacking.is_empty() => good(what, "all that the scenarios use"),
        Ok(lacking) => missing(
            what,
            format!("built without {}", lacking.join(", ")),
            "use a QEMU that has them, such as Debian's qemu-system-x86",
        ),
        Err(error) => missing(what, format!("{error:#}"), "see above"),
    }
}

fn x2apic() -> Finding {
    let what = "x2APIC";
    match Qemu::find() {
        Ok(Some(qemu)) if qemu.has_x2apic() => good(what, "this QEMU emulates it"),
        Ok(Some(_)) => note(what, "needs QEMU 9 or later", X2APIC_REMEDY),
        _ => note(what, "no QEMU", "see above"),
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
