// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of what the simulated machine has, so that a wrong one is refused before the program
//! that knows them is built. They are read from its source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::error::UserError;
use crate::nearest;
use crate::workspace;

/// The folder of the simulated machine's source.
const SOURCE: &str = "crates/latchwork-sim/src";

/// How a line begins that names something.
const NAME: &str = "name: \"";

/// What has names there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Named {
    Demo,
    Policy,
    Scenario,
}

impl Named {
    /// Refuses a name that nothing there has.
    ///
    /// # Errors
    ///
    /// [`UserError::UnknownName`]; others when the source cannot be read.
    pub(crate) fn check(self, name: &str) -> anyhow::Result<()> {
        let known = self.names()?;
        if known.iter().any(|known| known == name) {
            return Ok(());
        }
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        Err(UserError::UnknownName {
            what: self.word(),
            name: name.to_owned(),
            question: nearest::question(name, known.iter().copied()),
            known: known.join(", "),
        }
        .into())
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Policy => "policy",
            Self::Scenario => "scenario",
        }
    }

    /// The files, or the folders of files, that name all of them, and nothing else.
    const fn places(self) -> &'static [&'static str] {
        match self {
            Self::Demo => &["demo/stories.rs"],
            Self::Policy => &["explore/mod.rs", "policy/baselines/mod.rs"],
            Self::Scenario => &["scenario"],
        }
    }

    fn names(self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for place in self.places() {
            let path = workspace::root().join(SOURCE).join(place);
            for file in files(&path).with_context(|| format!("cannot read {}", path.display()))? {
                let text = fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                names.extend(names_in(&text).map(str::to_owned));
            }
        }
        Ok(names)
    }
}

/// The file itself, or those of the folder, in order.
fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let files: Result<Vec<_>, _> =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = files?;
    files.sort();
    Ok(files)
}

/// Each name that a line of that source gives. What has an empty one is there to be copied.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix(NAME)?.split('"').next());
    names.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::explore::OUR_POLICIES;

    /// How often `part` is in that file.
    fn count(file: &str, part: &str) -> usize {
        let text = fs::read_to_string(workspace::root().join(SOURCE).join(file)).expect("text");
        text.matches(part).count()
    }

    #[test]
    fn every_demo_policy_and_scenario_is_named_once() {
        for (named, there) in [
            (Named::Demo, count("demo/stories.rs", ": Demo = Demo {")),
            (Named::Policy, count("policy/baselines/mod.rs", "\n    Baseline {\n") + 2),
            (
                Named::Scenario,
                count("scenario/catalog.rs", "\n    &") + count("scenario/open.rs", " open(&"),
            ),
        ] {
            let names = named.names().expect("readable");
            assert_eq!(names.len(), there, "{names:?}");
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), there, "{names:?}");
            assert!(there >= 5, "{names:?}");
            names.iter().for_each(|name| named.check(name).expect(name));
        }
    }

    #[test]
    fn our_policies_are_among_them() {
        OUR_POLICIES.iter().for_each(|name| Named::Policy.check(name).expect(name));
    }

    #[test]
    fn a_wrong_name_is_answered_with_all() {
        let error = Named::Demo.check("lost").expect_err("no such demo").to_string();
        let words = "there is no demo `lost` (did you mean `lost-nmi`?); there are: lost-nmi, ";
        assert!(error.starts_with(words) && error.ends_with("stop-drop"), "{error}");
    }
}
