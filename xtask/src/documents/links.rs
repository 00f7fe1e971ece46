// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: every relative link leads to a file that exists, and to a heading in it.

use std::fs;

use super::markdown::Document;
use super::{document, documents};
use crate::workspace;

/// Why a link leads nowhere.
fn fault(from: &Document, link: &str, all: &[Document]) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") || is_of_rustdoc(from, link) {
        return None;
    }
    let (file, anchor) = match link.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (link, None),
    };
    let path = if file.is_empty() { from.path.clone() } else { from.folder().join(file) };
    let Ok(path) = path.canonicalize() else {
        return Some("no such file".to_owned());
    };
    let root = workspace::root().canonicalize().expect("the root");
    if !path.starts_with(&root) {
        return Some("not in the repository".to_owned());
    }
    let anchor = anchor?;
    let is_it = |it: &&Document| it.path.canonicalize().is_ok_and(|other| other == path);
    let Some(target) = all.iter().find(is_it) else {
        return Some("an anchor in a file that is no document".to_owned());
    };
    (!target.anchors.contains(anchor)).then(|| format!("no heading `{anchor}` in {}", target.name))
}

/// The READMEs of crates are their documentation too, where a link may be a path of Rust.
fn is_of_rustdoc(from: &Document, link: &str) -> bool {
    let is_path = link.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    from.name.starts_with("crates/") && is_path
}

#[test]
fn every_link_leads_somewhere() {
    let all = documents();
    let mut checked = 0;
    let mut faults = Vec::new();
    for from in &all {
        for link in &from.links {
            checked += 1;
            faults.extend(
                fault(from, link, &all).map(|why| format!("{}: ({link}): {why}", from.name)),
            );
        }
    }
    assert!(faults.is_empty(), "{} links lead nowhere:\n{}", faults.len(), faults.join("\n"));
    assert!(checked > 200, "{checked} links");
}

/// The crates whose folders `ARCHITECTURE.md` shows.
const CRATES: [&str; 5] =
    ["crates/latchwork", "crates/latchwork-x86", "crates/latchwork-sim", "kernel", "xtask"];

#[test]
fn every_room_is_one_click_from_the_index() {
    let index = document("ARCHITECTURE.md");
    let (mut rooms, mut missing) = (0, Vec::new());
    for folder in CRATES {
        let entries = fs::read_dir(workspace::root().join(folder).join("src")).expect("a folder");
        for entry in entries {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let room = format!("{folder}/src/{name}/mod.rs");
            let is_room = workspace::root().join(&room).exists() && name != "tests";
            rooms += usize::from(is_room);
            if is_room && !index.links.contains(&room) {
                missing.push(room);
            }
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md has no link to {missing:?}");
    assert!(rooms > 40, "{rooms} rooms");
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let all = documents();
    let from = document("docs/src/words.md");
    for bad in ["nowhere.md", "start.md#nowhere", "#nowhere", "../../../../etc", "../book.toml#x"] {
        assert!(fault(&from, bad, &all).is_some(), "{bad}");
    }
    for good in ["start.md", "start.md#the-button", "#dispatch-and-removal", "../../README.md"] {
        assert_eq!(fault(&from, good, &all), None, "{good}");
    }
}
