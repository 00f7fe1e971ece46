// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a user can get wrong or lack; each error says what to do.

use thiserror::Error;

use crate::guest::qemu::{BINARY, Version};

/// The request cannot be carried out as asked (exit status 2).
#[derive(Debug, Error, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserError {
    /// `--scenario` names none of the catalogue.
    #[error("there is no scenario `{name}`; the scenarios are: {known}")]
    UnknownScenario {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// `--fault` belongs to none of the chosen scenarios.
    #[error("no chosen scenario has a fault `{name}`; the faults are: {known}")]
    UnknownFault {
        /// What was asked for.
        name: String,
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
    /// QEMU is missing and was not installed.
    #[error("QEMU is not installed (no `{BINARY}` in PATH): {remedy}")]
    QemuMissing {
        /// One line that says what to do.
        remedy: String,
    },
    /// QEMU is too old for x2APIC without hardware virtualisation.
    #[error("x2APIC needs QEMU 9 or later, and this is QEMU {found}: {X2APIC_REMEDY}")]
    X2apicNeedsNewerQemu {
        /// The version that was found.
        found: Version,
    },
    /// What builds bootable images is missing and was not installed.
    #[error("an image for GRUB cannot be built, since {lacking} is missing: {remedy}")]
    ImageToolsMissing {
        /// What is missing.
        lacking: String,
        /// One line that says what to do.
        remedy: String,
    },
    /// Bochs, or a part of it, is missing and was not installed.
    #[error("Bochs cannot be used, since {lacking} is missing: {remedy}")]
    BochsMissing {
        /// What is missing.
        lacking: String,
        /// One line that says what to do.
        remedy: String,
    },
    /// Something was asked for that Bochs does not have.
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
    /// There is no mdBook, and it was not installed.
    #[error(
        "the book cannot be built without mdBook: {why}; see that cargo reaches its registry and \
         that Rust is 1.88 or later, or read docs/src/SUMMARY.md and what it links to, which is \
         plain Markdown"
    )]
    MdbookMissing {
        /// Why it was not installed.
        why: String,
    },
    /// `LATCHWORK_KERNEL` names no file.
    #[error("LATCHWORK_KERNEL names `{path}`, which is not a file")]
    KernelMissing {
        /// The value of the variable.
        path: String,
    },
    /// A filter or selection left nothing to do.
    #[error("{0}")]
    NothingChosen(String),
}

/// How to get a QEMU that emulates x2APIC.
pub const X2APIC_REMEDY: &str = "use --apic xapic, or install a newer one (Debian 12: add the suite bookworm-backports, \
     then `apt-get install -t bookworm-backports qemu-system-x86`)";
