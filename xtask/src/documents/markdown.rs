// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Markdown file, as far as the tests look at it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// One file, parsed.
#[derive(Debug)]
pub(super) struct Document {
    /// From the repository's root, with forward slashes.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Where its links and pictures point.
    pub(super) links: Vec<String>,
    /// What it says in backticks outside links, and each line of its code blocks.
    pub(super) code: Vec<String>,
    /// What stands in backticks inside a link, and where that points.
    pub(super) labels: Vec<(String, String)>,
    /// The anchors of its headings.
    pub(super) anchors: BTreeSet<String>,
}

impl Document {
    /// # Panics
    ///
    /// If there is no such file, as in every test helper here.
    pub(super) fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let mut document = Self {
            name,
            path: path.to_owned(),
            links: Vec::new(),
            code: Vec::new(),
            labels: Vec::new(),
            anchors: BTreeSet::new(),
            text: String::new(),
        };
        document.parse(&text);
        document.text = text;
        document
    }

    fn parse(&mut self, text: &str) {
        let mut heading: Option<String> = None;
        let mut in_block = false;
        let mut in_link = false;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    self.links.push(dest_url.into_string());
                    in_link = true;
                }
                Event::End(TagEnd::Link | TagEnd::Image) => in_link = false,
                Event::Start(Tag::CodeBlock(_)) => in_block = true,
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor_of(&heading.take().unwrap_or_default());
                    self.anchors.insert(self.unused(anchor));
                }
                Event::Text(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    } else if in_block {
                        self.code.extend(words.lines().map(str::to_owned));
                    }
                }
                Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                    match self.links.last().filter(|_| in_link) {
                        Some(link) => self.labels.push((words.into_string(), link.clone())),
                        None => self.code.push(words.into_string()),
                    }
                }
                _ => {}
            }
        }
    }

    /// A heading that is there a second time has a number in its anchor.
    fn unused(&self, anchor: String) -> String {
        if !self.anchors.contains(&anchor) {
            return anchor;
        }
        (1..).map(|n| format!("{anchor}-{n}")).find(|it| !self.anchors.contains(it)).expect("one")
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().expect("a file is in a folder")
    }

    /// The cells of each row of each table below `heading`, up to the next heading of that level,
    /// without the tables' own headings.
    pub(super) fn rows(&self, heading: &str) -> Vec<Vec<&str>> {
        let level = heading.split(' ').next().expect("a mark");
        let text = if self.text.starts_with(heading) {
            &self.text[heading.len()..]
        } else {
            let below = self.text.split_once(&format!("\n{heading}\n"));
            below.unwrap_or_else(|| panic!("{} has no `{heading}`", self.name)).1
        };
        let section = text.split(&format!("\n{level} ")).next().expect("some text");
        let lines: Vec<&str> = section.lines().collect();
        let is_rule = |line: &str| line.starts_with("|--");
        let rows = lines.iter().enumerate().filter(|(index, line)| {
            let heads = lines.get(index + 1).is_some_and(|next| is_rule(next));
            line.starts_with('|') && !is_rule(line) && !heads
        });
        rows.map(|(_, line)| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
    }
}

/// The anchor that GitHub, and mdBook likewise, makes of a heading.
fn anchor_of(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// What stands between backticks in a cell.
pub(super) fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn anchors_are_made_as_on_the_pages() {
    assert_eq!(anchor_of("Where `QEMU` differs, and how"), "where-qemu-differs-and-how");
    assert_eq!(anchor_of("`Recovery::Poll` is the default"), "recoverypoll-is-the-default");
}
