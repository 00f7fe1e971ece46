// SPDX-License-Identifier: MIT OR Apache-2.0
//! Selects the simulated backend of the core's `primitive` module.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(latchwork_simulated)");
    println!("cargo::rustc-cfg=latchwork_simulated");
    println!("cargo::rerun-if-changed=build.rs");
}
