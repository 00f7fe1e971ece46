// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fates of the mutants, as a table or as JSON.

use std::fmt;

use comfy_table::Table;
use serde::Serialize;

use crate::cli::Format;
use crate::table;

/// The fate of one mutant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// By the checks that it names.
    Caught(String),
    Escaped(String),
    DoesNotApply(String),
    DoesNotCompile(String),
}

/// One mutant that was tried.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) fate: Fate,
}

/// All that were tried.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Tried>);

#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    mutants: Vec<Entry<'a>>,
    held: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    caught_by: Option<&'a str>,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(by) => write!(f, "caught by {by}"),
            Self::Escaped(how) => write!(f, "NOT CAUGHT: {how}"),
            Self::DoesNotApply(why) => write!(f, "NO LONGER APPLIES: {why}"),
            Self::DoesNotCompile(why) => write!(f, "DOES NOT COMPILE: {why}"),
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, tried: Tried) {
        self.0.push(tried);
    }

    /// Whether there were any and all were caught.
    pub(crate) fn held(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|tried| matches!(tried.fate, Fate::Caught(_)))
    }

    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => println!("{}", serde_json::to_string(&self.json())?),
            Format::Table if self.0.is_empty() => println!("no mutants: nothing was shown"),
            Format::Table => println!("{}", self.table()),
        }
        Ok(())
    }

    fn json(&self) -> Json<'_> {
        Json { schema: 1, mutants: self.0.iter().map(Tried::entry).collect(), held: self.held() }
    }

    /// The mutants as the JSON of `explore` has them.
    pub(crate) fn entries(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::to_value(self.0.iter().map(Tried::entry).collect::<Vec<_>>())?)
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = table::new(["mutant", "what is wrong", "what became of it"]);
        for tried in &self.0 {
            table.add_row([&tried.name, &tried.what, &tried.fate.to_string()]);
        }
        table
    }
}

impl Tried {
    fn entry(&self) -> Entry<'_> {
        Entry { name: &self.name, caught_by: self.caught_by() }
    }

    fn caught_by(&self) -> Option<&str> {
        match &self.fate {
            Fate::Caught(by) => Some(by),
            Fate::Escaped(_) | Fate::DoesNotApply(_) | Fate::DoesNotCompile(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(fates: &[Fate]) -> Report {
        let tried = |fate: &Fate| Tried { name: "m".into(), what: "w".into(), fate: fate.clone() };
        Report(fates.iter().map(tried).collect())
    }

    #[test]
    fn nothing_tried_is_nothing_held() {
        assert!(!report(&[]).held());
    }

    #[test]
    fn every_mutant_must_be_caught() {
        let caught = Fate::Caught("loom:a".into());
        assert!(report(&[caught.clone(), caught.clone()]).held());
        for fate in [
            Fate::Escaped("e".into()),
            Fate::DoesNotApply("a".into()),
            Fate::DoesNotCompile("c".into()),
        ] {
            assert!(!report(&[caught.clone(), fate]).held());
        }
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let report = report(&[Fate::Caught("loom:a".into()), Fate::Escaped("e".into())]);
        let expected = r#"{"schema":1,"mutants":[{"name":"m","caught_by":"loom:a"},{"name":"m","caught_by":null}],"held":false}"#;
        assert_eq!(serde_json::to_string(&report.json()).expect("serializable"), expected);
    }
}
