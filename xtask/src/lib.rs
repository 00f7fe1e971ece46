// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host side of Latchwork: builds and boots the reference kernel, judges its records, and runs
//! every check of the project.
//!
//! The library half exists for `tests/qemu`, which boots the same cells with the same verdicts as
//! `cargo xtask run`.

// First, since the modules below print by its macros.
#[macro_use]
pub mod console;

#[path = "../../kernel/src/catalog/mod.rs"]
mod catalog;

pub mod book;
pub mod campaign;
pub mod cells;
#[cfg(test)]
mod circles;
pub mod cli;
pub mod compare;
pub mod demo;
pub mod doctor;
#[cfg(test)]
mod documents;
pub mod error;
pub mod explore;
pub mod guest;
pub mod iso;
pub mod machine;
pub mod mutants;
mod nearest;
mod private_dir;
pub mod process;
pub mod run;
mod simulated;
pub mod suites;
mod table;
pub mod test;
#[cfg(test)]
mod width;
mod workspace;

pub use workspace::under_ci;
