// SPDX-License-Identifier: MIT OR Apache-2.0
//! Test: no line of any Rust file is wider than 100 columns, comments and strings included.
//!
//! `cargo fmt` leaves wide comments and strings alone. JSON may be as wide as programs print it.

use std::fs;
use std::process::Command;

use crate::workspace;

const COLUMNS: usize = 100;

/// How an object of JSON begins, in a raw string and in others.
const JSON: [&str; 3] = ["{\"", "{{\"", "{\\\""];

#[test]
fn no_line_is_wider_than_the_rest() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(workspace::root())
        .output()
        .expect("git");
    assert!(listed.status.success(), "{listed:?}");
    let names = String::from_utf8(listed.stdout).expect("UTF-8");
    let files: Vec<&str> = names.split('\0').filter(|name| name.ends_with(".rs")).collect();
    assert!(files.len() > 500, "{} files", files.len());
    let mut wide = Vec::new();
    for file in files {
        let text = fs::read_to_string(workspace::root().join(file)).expect("text");
        for (number, line) in (1..).zip(text.lines()) {
            let is_json = JSON.iter().any(|begin| line.contains(begin));
            if !is_json && line.chars().count() > COLUMNS {
                wide.push(format!("{file}:{number}"));
            }
        }
    }
    assert!(wide.is_empty(), "wider than {COLUMNS} columns: {wide:#?}");
}
