// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must not compile does not, and for the reason that its comment names.
//!
//! Each program in `programs/` says at the offending line which error code it expects. The compiler's
//! wording is not compared, since it changes from release to release. `control.rs` must compile: it is
//! what the others would be without their mistake.

use ui_test::{
    Config, custom_flags::edition::Edition, dependencies::DependencyBuilder,
    ignore_output_conflict, run_tests,
};

fn main() -> ui_test::color_eyre::Result<()> {
    let mut config = Config::rustc("programs");
    config.output_conflict_handling = ignore_output_conflict;
    let defaults = config.comment_defaults.base();
    defaults.set_custom("edition", Edition("2024".into()));
    defaults.set_custom(
        "dependencies",
        DependencyBuilder {
            crate_manifest_path: "library/Cargo.toml".into(),
            ..DependencyBuilder::default()
        },
    );
    run_tests(config)
}
