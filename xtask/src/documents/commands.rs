// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: the commands in documents exist, with their options.

use clap::CommandFactory as _;

use super::documents;
use crate::cli::Cli;

/// Why `cargo xtask`, followed by these words, is not a command of ours.
fn fault(words: &str) -> Option<String> {
    let mut words = words.split_whitespace();
    let name = words.next()?.trim_matches(|c: char| !c.is_alphanumeric());
    let mut cli = Cli::command();
    // Only then do subcommands have the options that all of them share.
    cli.build();
    let Some(command) = cli.find_subcommand(name) else {
        return (name != "help").then(|| format!("there is no `cargo xtask {name}`"));
    };
    for word in words.take_while(|word| *word != "--" && *word != "#") {
        let Some(option) = word.strip_prefix("--") else {
            continue;
        };
        let option = option.split('=').next().unwrap_or(option);
        let option = option.trim_end_matches(|c: char| !c.is_alphanumeric());
        let has = command.get_arguments().any(|it| it.get_long() == Some(option));
        if !has {
            return Some(format!("`cargo xtask {name}` has no `--{option}`"));
        }
    }
    None
}

#[test]
fn every_command_is_one() {
    let mut checked = 0;
    let mut faults = Vec::new();
    for document in documents() {
        for line in &document.code {
            if let Some((_, words)) = line.split_once("cargo xtask ") {
                checked += 1;
                faults.extend(fault(words).map(|why| format!("{}: {why}", document.name)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 30, "{checked} commands");
}

#[test]
fn commands_that_are_none_are_found() {
    for good in ["run", "run --scenario hot-remove --fault poison-early", "mutants [NAME]", "help"]
    {
        assert_eq!(fault(good), None, "{good}");
    }
    for bad in ["walk", "run --fast", "doctor --yes"] {
        assert!(fault(bad).is_some(), "{bad}");
    }
}
