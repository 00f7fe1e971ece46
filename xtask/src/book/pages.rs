// SPDX-License-Identifier: MIT OR Apache-2.0
//! Follows the links on the pages that mdBook wrote.
//!
//! A link that leaves the book leads to the source. It works as it is, since the pages lie as deep
//! below the repository's root as the chapters do. But mdBook takes each `.md` for a chapter and
//! makes it `.html`, even a README outside the book. This module corrects that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

/// A built book, and the chapters that it was built from.
#[derive(Debug)]
pub(super) struct Site {
    pages: PathBuf,
    chapters: PathBuf,
}

/// What the pages contain.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) pages: usize,
    pub(super) links: usize,
    /// Links that lead nowhere.
    pub(super) faults: Vec<String>,
}

/// A page's text and the anchors on it.
#[derive(Debug)]
struct Page {
    text: String,
    anchors: BTreeSet<String>,
}

impl Site {
    pub(super) fn at(pages: &Path, chapters: &Path) -> Self {
        Self { pages: pages.to_owned(), chapters: chapters.to_owned() }
    }

    /// Corrects the links to Markdown outside the book, and follows all links.
    ///
    /// # Errors
    ///
    /// If a page cannot be read or written.
    pub(super) fn mend_and_check(&self) -> anyhow::Result<Seen> {
        let mut pages = BTreeMap::new();
        self.read_pages(&self.pages, &mut pages)?;
        for (name, page) in &mut pages {
            if let Some(mended) = self.mended(name, &page.text) {
                let path = self.pages.join(name);
                fs::write(&path, &mended)
                    .with_context(|| format!("{} cannot be written", path.display()))?;
                page.text = mended;
            }
        }
        let mut seen = Seen { pages: pages.len(), ..Seen::default() };
        for (name, page) in &pages {
            for link in links(&page.text).filter(|link| is_relative(link)) {
                seen.links += 1;
                if let Some(why) = self.fault(name, &link, &pages) {
                    seen.faults.push(format!("{}: {link}: {why}", name.display()));
                }
            }
        }
        Ok(seen)
    }

    fn read_pages(&self, folder: &Path, into: &mut BTreeMap<PathBuf, Page>) -> anyhow::Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                self.read_pages(&path, into)?;
            } else if path.extension().is_some_and(|it| it == "html") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                let anchors = attributes(&text, "id").map(str::to_owned).collect();
                let name = path.strip_prefix(&self.pages).unwrap_or(&path).to_owned();
                into.insert(name, Page { text, anchors });
            }
        }
        Ok(())
    }

    /// The page with its links to Markdown outside the book as the chapter had them, if there are
    /// any.
    fn mended(&self, name: &Path, text: &str) -> Option<String> {
        let mut mended = text.to_owned();
        for link in links(text).filter(|link| is_relative(link)) {
            let (file, anchor) = split(&link);
            let markdown = file.strip_suffix(".html").map(|stem| format!("{stem}.md"));
            let Some(markdown) = markdown.filter(|_| self.leaves(name, file)) else {
                continue;
            };
            if self.source_of(name, &markdown).is_file() {
                let anchor = anchor.map(|it| format!("#{it}")).unwrap_or_default();
                let (before, after) = (format!("\"{link}\""), format!("\"{markdown}{anchor}\""));
                mended = mended.replace(&before, &after);
            }
        }
        (mended != text).then_some(mended)
    }

    /// Whether a link on a page leads out of the book.
    fn leaves(&self, page: &Path, file: &str) -> bool {
        !plain(&self.pages.join(page).with_file_name(file)).starts_with(plain(&self.pages))
    }

    /// Where a link that leaves the book leads from its chapter.
    fn source_of(&self, page: &Path, file: &str) -> PathBuf {
        plain(&self.chapters.join(page).with_file_name(file))
    }

    fn fault(
        &self,
        page: &Path,
        link: &str,
        all: &BTreeMap<PathBuf, Page>,
    ) -> Option<&'static str> {
        let (file, anchor) = split(link);
        if !file.is_empty() && self.leaves(page, file) {
            return (!self.source_of(page, file).exists())
                .then_some("no such file in the repository");
        }
        let target =
            if file.is_empty() { page.to_owned() } else { plain(&page.with_file_name(file)) };
        if !self.pages.join(&target).exists() {
            return Some("no such page");
        }
        let anchor = anchor.filter(|it| !it.is_empty())?;
        let has = all.get(&target).is_some_and(|page| page.anchors.contains(anchor));
        (!has).then_some("no such place on that page")
    }
}

/// The file of a link, and the place in it.
fn split(link: &str) -> (&str, Option<&str>) {
    link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)))
}

fn is_relative(link: &str) -> bool {
    !link.contains(':') && !link.starts_with('/')
}

fn links(text: &str) -> impl Iterator<Item = String> {
    attributes(text, "href").chain(attributes(text, "src")).map(|it| it.replace("&amp;", "&"))
}

/// The values of an attribute, in order.
fn attributes<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let start = format!(" {name}=\"");
    let ends: Vec<&str> = text.split(&start).skip(1).collect();
    ends.into_iter().filter_map(|rest| rest.split('"').next())
}

/// The path without `.` and `..`, as far as that is known without the disk.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_dir::PrivateDir;

    /// A book of one chapter in `book/`, made of `docs/`, in a repository with a README.
    fn check(page: &str) -> (Seen, String) {
        let root = PrivateDir::new().expect("a folder");
        let (pages, chapters) = (root.path().join("built/book"), root.path().join("docs/src"));
        fs::create_dir_all(&pages).expect("a folder");
        fs::create_dir_all(&chapters).expect("a folder");
        fs::write(root.path().join("README.md"), "").expect("a file");
        fs::write(pages.join("other.html"), "<h2 id=\"here\">").expect("a page");
        fs::write(pages.join("index.html"), page).expect("a page");
        let seen = Site::at(&pages, &chapters).mend_and_check().expect("pages that can be read");
        (seen, fs::read_to_string(pages.join("index.html")).expect("a page"))
    }

    #[test]
    fn links_that_lead_somewhere_are_no_faults() {
        let (seen, _) = check(
            "<a href=\"other.html#here\"><a href=\"other.html\"><h1 id=\"top\"><a href=\"#top\">\
             <a href=\"https://example.org/x\"><img src=\"other.html\">",
        );
        assert_eq!((seen.pages, seen.links), (2, 4));
        assert!(seen.faults.is_empty(), "{:?}", seen.faults);
    }

    #[test]
    fn links_that_lead_nowhere_are_faults() {
        for bad in ["none.html", "other.html#nowhere", "#nowhere", "../../nothing.rs"] {
            let (seen, _) = check(&format!("<a href=\"{bad}\">"));
            assert_eq!(seen.faults.len(), 1, "{bad}");
        }
    }

    #[test]
    fn markdown_outside_the_book_stays_markdown() {
        let (seen, page) = check("<a href=\"../../README.html#licence\">");
        assert!(seen.faults.is_empty(), "{:?}", seen.faults);
        assert_eq!(page, "<a href=\"../../README.md#licence\">");
    }
}
