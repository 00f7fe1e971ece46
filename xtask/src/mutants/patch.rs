// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mutant's file: a header that says what is wrong and which check must catch it, then a unified
//! diff.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::check::CheckName;

/// One known mistake.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) what: String,
    pub(super) caught_by: Vec<CheckName>,
}

/// Every `*.patch` of `folder`, by name.
pub(super) fn read_all(folder: &Path) -> anyhow::Result<Vec<Patch>> {
    let mut patches = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            patches.push(
                parse(&path, &text)
                    .with_context(|| format!("in the header of {}", path.display()))?,
            );
        }
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Patch> {
    let (mut name, mut what, mut caught_by) = (None, None, Vec::new());
    for line in text.lines().map_while(|line| line.strip_prefix('#')) {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "name" => name = Some(value.to_owned()),
            "what" => what = Some(value.to_owned()),
            "caught-by" => caught_by.push(value.parse()?),
            "SPDX-License-Identifier" => {}
            other => bail!("`{other}` is not one of name, what, caught-by"),
        }
    }
    let name = name.context("no `# name:`")?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    ensure!(name == stem, "the name is `{name}`, the file's is `{stem}`");
    ensure!(!caught_by.is_empty(), "no `# caught-by:`");
    Ok(Patch { path: path.to_owned(), name, what: what.context("no `# what:`")?, caught_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-# name: not a header\n+b\n";

    fn parsed(header: &str) -> anyhow::Result<Patch> {
        parse(Path::new("mutants/no-fence.patch"), &format!("{header}{DIFF}"))
    }

    #[test]
    fn a_header_is_read() {
        let patch = parsed(
            "# SPDX-License-Identifier: MIT OR Apache-2.0\n# name: no-fence\n# what: The remover: \
             no fence.\n\
             # caught-by: loom:a::b\n# caught-by: unit:latchwork:c\n",
        )
        .expect("a good header");
        assert_eq!(
            (patch.name.as_str(), patch.what.as_str()),
            ("no-fence", "The remover: no fence.")
        );
        let checks: Vec<_> = patch.caught_by.iter().map(ToString::to_string).collect();
        assert_eq!(checks, ["loom:a::b", "unit:latchwork:c"]);
    }

    #[test]
    fn incomplete_and_wrong_headers_are_refused() {
        for (header, complaint) in [
            ("# what: w\n# caught-by: loom:a\n", "no `# name:`"),
            ("# name: no-fence\n# caught-by: loom:a\n", "no `# what:`"),
            ("# name: no-fence\n# what: w\n", "no `# caught-by:`"),
            ("# name: other\n# what: w\n# caught-by: loom:a\n", "the file's is `no-fence`"),
            ("# name: no-fence\n# what: w\n# caugth-by: loom:a\n", "`caugth-by` is not one of"),
            ("# name: no-fence\n# what: w\n# caught-by: magic:a\n", "magic:a"),
        ] {
            let error = parsed(header).expect_err(header);
            assert!(format!("{error:#}").contains(complaint), "{error:#}");
        }
    }
}
