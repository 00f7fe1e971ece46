// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a user can get wrong or lack; each error says what to do.

use thiserror::Error;

use crate::guest::qemu::{BINARY, VARIABLE, Version};

/// xtask cannot do what the user asked (exit status 2).
#[derive(Debug, Error, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserError {
    /// There is nothing of that name.
    #[error("there is no {what} `{name}`{question}; there are: {known}")]
    UnknownName {
        /// What has names of that kind.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Whether another name was meant; may be empty.
        question: String,
        /// What there is.
        known: String,
    },
    /// `--fault` belongs to none of the chosen scenarios.
    #[error("no chosen scenario has a fault `{name}`{question}; the faults are: {known}")]
    UnknownFault {
        /// What was asked for.
        name: String,
        /// Whether another name was meant; may be empty.
        question: String,
        /// What the chosen scenarios have.
        known: String,
    },
    /// A scenario or fault that was asked for by name needs more CPUs than `--cpus` gives.
    #[error("{what} needs at least {needed} CPUs, but --cpus is {given}")]
    TooFewCpus {
        /// The scenario or fault.
        what: String,
        /// The fewest CPUs it can run on.
        needed: usize,
        /// The value of `--cpus`.
        given: usize,
    },
    /// QEMU is missing, and xtask has not installed it.
    #[error("QEMU is not installed (no `{BINARY}` in PATH): {remedy}")]
    QemuMissing {
        /// One line that says what to do.
        remedy: String,
    },
    /// The emulator that was chosen does not answer as QEMU does.
    #[error(
        "`{program}` cannot be used as QEMU: {why}; choose another by --qemu PATH, or unset \
         --qemu and {VARIABLE} to use the one in PATH"
    )]
    QemuUnusable {
        /// What was run.
        program: String,
        /// What it did instead.
        why: String,
    },
    /// QEMU is older than any release that we have tried.
    #[error(
        "QEMU {found} (`{program}`) is too old: the oldest that Latchwork was tried on is \
         {oldest}; {remedy}"
    )]
    QemuTooOld {
        /// What was run.
        program: String,
        /// Its release.
        found: Version,
        /// The oldest that xtask accepts.
        oldest: Version,
        /// What to do, in one line.
        remedy: String,
    },
    /// This QEMU cannot emulate the machine that the user asked for.
    #[error("{qemu} cannot emulate {machine}: {why}; {remedy}, or ask for another machine")]
    MachineNotOnQemu {
        /// The machine.
        machine: String,
        /// The emulator and its release.
        qemu: String,
        /// What it lacks.
        why: String,
        /// What to do, in one line.
        remedy: String,
    },
    /// apt could not install what is missing.
    #[error(
        "`{command}` failed ({status}), and says why above: without a network, or where another \
         program holds apt's locks, it cannot work; try it by hand{uninstalled}"
    )]
    InstallFailed {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// How to do without.
        uninstalled: &'static str,
    },
    /// What is missing can be installed only if something else is removed.
    #[error(
        "{name} cannot be installed beside what is there: apt would remove {removed}, to which \
         --yes does not agree; if you do, run `{command}` by hand{uninstalled}"
    )]
    InstallWouldRemove {
        /// What is missing.
        name: &'static str,
        /// The packages that would go.
        removed: String,
        /// What installs it all the same.
        command: String,
        /// How to do without.
        uninstalled: &'static str,
    },
    /// The tools that build bootable images are missing, and xtask has not installed them.
    #[error("an image for GRUB cannot be built, since {lacking} is missing: {remedy}")]
    ImageToolsMissing {
        /// What is missing.
        lacking: String,
        /// One line that says what to do.
        remedy: String,
    },
    /// Bochs, or a part of it, is missing, and xtask has not installed it.
    #[error("Bochs cannot be used, since {lacking} is missing: {remedy}")]
    BochsMissing {
        /// What is missing.
        lacking: String,
        /// One line that says what to do.
        remedy: String,
    },
    /// The user asked for something that Bochs does not have.
    #[error("Bochs {0}")]
    NotOnBochs(String),
    /// An image cannot be written where it was to go.
    #[error("no image can be written to `{path}`: {why}; name a file in a folder that is there")]
    NoImageThere {
        /// Where it was to go.
        path: String,
        /// Why it cannot.
        why: &'static str,
    },
    /// There is no mdBook, and xtask has not installed it.
    #[error(
        "the book cannot be built without mdBook: {why}; see that cargo reaches its registry and \
         that Rust is 1.88 or later, or read docs/src/SUMMARY.md and what it links to, which is \
         plain Markdown"
    )]
    MdbookMissing {
        /// Why it was not installed.
        why: String,
    },
    /// xtask cannot write to the folder for build products.
    #[error(
        "nothing can be built in `{path}`: {why}; name a folder that can be written to by the \
         variable CARGO_TARGET_DIR"
    )]
    CannotBuildThere {
        /// The folder.
        path: String,
        /// Why it cannot be written to.
        why: String,
    },
    /// The folder for build products is full.
    #[error(
        "the build failed, and only {free_mib} MiB are left in `{path}`: make room, or name \
         another folder by the variable CARGO_TARGET_DIR"
    )]
    NoSpace {
        /// The folder.
        path: String,
        /// What is left there.
        free_mib: u64,
    },
    /// A machine's memory has to be a file, which does not fit.
    #[error(
        "a machine's memory does not fit the folder for temporary files: {free_mib} MiB are left \
         in `{path}`, and {needed_mib} are needed; make room, or name another folder by the \
         variable \
         TMPDIR"
    )]
    NoSpaceForMemory {
        /// The folder.
        path: String,
        /// What is left there.
        free_mib: u64,
        /// What the file takes.
        needed_mib: u64,
    },
    /// `LATCHWORK_KERNEL` names no file.
    #[error("LATCHWORK_KERNEL names `{path}`, which is not a file")]
    KernelMissing {
        /// The value of the variable.
        path: String,
    },
    /// xtask cannot boot a scenario that the user named here, or any at all.
    #[error("scenario `{scenario}` cannot be booted: {reason}")]
    CannotBoot {
        /// The scenario, or the first of them.
        scenario: String,
        /// Why, in one line.
        reason: String,
    },
    /// A filter or selection leaves nothing to do.
    #[error("{0}")]
    NothingChosen(String),
}
