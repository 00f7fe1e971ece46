// SPDX-License-Identifier: MIT OR Apache-2.0
//! Test: the code that the README shows is a part of the compiled example.

use std::fs;

use super::document;
use crate::workspace;

const EXAMPLE: &str = "crates/latchwork-x86/examples/thirty_lines.rs";

/// The first block of Rust below `heading`, without its fences.
fn rust_below<'t>(text: &'t str, heading: &str) -> Option<&'t str> {
    let below = text.split_once(&format!("\n{heading}\n"))?.1;
    let section = below.split("\n## ").next()?;
    section.split_once("```rust\n")?.1.split("```").next()
}

#[test]
fn the_code_in_the_readme_is_part_of_the_example() {
    let readme = document("README.md");
    let shown = rust_below(&readme.text, "## Use it in a kernel").expect("a block of Rust");
    assert!(shown.contains(".register(") && shown.contains(".remove("), "{shown}");
    let example = fs::read_to_string(workspace::root().join(EXAMPLE)).expect("the example");
    assert!(example.contains(shown), "README.md shows code that is not in {EXAMPLE}:\n{shown}");
}

#[test]
fn a_block_is_found_in_its_section_only() {
    let text = "\n## A\n```\nno\n```\n## B\n```rust\nyes();\n```\n";
    assert_eq!(rust_below(text, "## B"), Some("yes();\n"));
    assert_eq!(rust_below(text, "## A"), None);
}
