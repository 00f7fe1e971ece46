// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links the kernel as a static, position-dependent image at the addresses of `kernel.ld`.
//!
//! It passes the arguments for the kernel's binary alone, so the rest of the workspace links as
//! usual.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=kernel.ld");
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=LATCHWORK_KERNEL_TARGET={target}");

    let script = format!("{}/kernel.ld", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    // A hosted target links through the C compiler's driver, a bare-metal target through the linker
    // itself.
    let hosted = env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux");
    if hosted {
        for arg in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
            link_arg(arg);
        }
    }
    let script_arg = format!("-T{script}");
    for arg in ["--no-pie", "--build-id=none", "-znorelro", &script_arg] {
        match (hosted, arg) {
            (true, "--no-pie") => {}
            (true, _) => link_arg(&format!("-Wl,{arg}")),
            (false, _) => link_arg(arg),
        }
    }
}

fn link_arg(arg: &str) {
    println!("cargo:rustc-link-arg-bin=latchwork-kernel={arg}");
}
