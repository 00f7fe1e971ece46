// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask` as a process, where it is asked for what it has not, and where nobody can read its
//! answer. Nothing is built or booted here: there is no cargo, and the emulator is a shell script.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// The command, where whatever wants to build something fails.
fn xtask(arguments: &[&str]) -> Command {
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-qemu.sh");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(arguments)
        .env("CARGO", "/no/cargo")
        .env("LATCHWORK_QEMU", &fake)
        .env("LATCHWORK_KERNEL", &fake)
        .env("COLUMNS", "80")
        .env_remove("CI")
        .stdin(Stdio::null());
    command
}

/// Exit status, standard output and standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Exit status and standard error, where nobody reads the rest.
fn unread(command: &mut Command) -> (Option<i32>, String) {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    drop(reader);
    let (status, _, stderr) = run(command.stdout(writer));
    (status, stderr)
}

/// That these words are refused with an error that has all of `parts`.
fn refused(arguments: &[&str], parts: &[&str]) {
    let (status, stdout, stderr) = run(&mut xtask(arguments));
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{arguments:?}: no `{part}` in: {stderr}");
    }
}

#[test]
fn help_that_cannot_be_printed_is_a_failure() {
    for arguments in [&["run", "--help"][..], &["--help"], &["help", "explore"]] {
        let full = File::options().write(true).open("/dev/full").expect("there");
        let output = xtask(arguments).stdout(full).output().expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("could not be printed: No space left on device"), "{stderr}");
    }
}

#[test]
fn help_that_nobody_reads_ends_quietly() {
    let (status, stderr) = unread(&mut xtask(&["run", "--help"]));
    assert_eq!((status, stderr.as_str()), (Some(141), ""));
}

/// A demo whose program is built already, and is a shell script.
fn demo(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(folder.join("explore")).expect("made");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-demo.sh");
    symlink(script, folder.join("explore/latchwork-demo")).expect("made");
    let mut command = xtask(&["demo", "lost-nmi"]);
    command.env("CARGO", "/bin/true").env("CARGO_TARGET_DIR", folder);
    command
}

#[test]
fn what_a_program_of_ours_cannot_print_ends_it() {
    let full = File::options().write(true).open("/dev/full").expect("there");
    let output = demo("full").stdout(full).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("could not be printed: No space left on device"), "{stderr}");
    assert_eq!(unread(&mut demo("unread")), (Some(141), String::new()));
}

#[test]
fn an_unknown_name_is_refused_before_anything_is_built() {
    let all = "there are: lost-nmi, false-unknown, swallowed-unknown, shared-pmi, stop-drop\n";
    refused(&["demo", "nosuch"], &["there is no demo `nosuch`; ", all]);
    refused(&["demo", "lost", "--svg", "x.svg"], &["did you mean `lost-nmi`?"]);
    refused(&["explore", "--policy", "latchwork"], &["no policy", "latchwork-poll", "linux, "]);
    refused(&["explore", "--scenario", "nosuch"], &["no scenario", "pmi-collapse-bsp, "]);
    refused(&["explore", "--bounds", "wide"], &["none, small, full"]);
    refused(&["explore", "--replay", "x"], &["one --policy and one --scenario"]);
    refused(&["campaign", "--policy", "nosuch"], &["no policy", "latchwork-poll, "]);
    refused(&["campaign", "--", "--minutes", "1", "--scenario=fredd"], &["mean `fred`"]);
    refused(&["compare", "--fault", "nosuch"], &["no chosen scenario", "double-ring"]);
    refused(&["run", "--scenario", "hot-remov"], &["mean `hot-remove`?", "shared-source, "]);
    refused(&["run", "--fault", "posion-early"], &["mean `poison-early`?", "(hot-remove)"]);
    refused(&["unpack", "woody"], &["bookworm, trixie, sid"]);
    refused(&["test", "clipy"], &["no step `clipy`", "clippy, ", "cargo xtask test --list"]);
    refused(&["test", "--from", "nosuch"], &["no step `nosuch`"]);
}

#[test]
fn a_list_has_what_was_named_and_takes_no_option_in_vain() {
    let list = |words: &[&str]| {
        let (status, stdout, stderr) = run(&mut xtask(&[&["run", "--list"], words].concat()));
        assert_eq!(status, Some(0), "{words:?}: {stderr}");
        stdout
    };
    let hot_remove = list(&["--scenario", "hot-remove"]);
    assert!(hot_remove.contains("poison-early"), "{hot_remove}");
    assert!(!hot_remove.contains("shared-source"), "{hot_remove}");
    let poison_early = list(&["--fault", "poison-early", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_str(&poison_early).expect("JSON");
    let scenarios = list["scenarios"].as_array().expect("an array");
    let only = (&scenarios[0]["name"], &scenarios[0]["faults"]);
    assert_eq!((scenarios.len(), only), (1, (&"hot-remove".into(), &["poison-early"].into())));
    refused(&["run", "--list", "--fault", "nosuch"], &["a fault `nosuch`"]);
    refused(&["run", "--list", "--cpus", "2"], &["--list", "cannot be used with", "--cpus"]);
    refused(&["explore", "--list", "--policy", "linux"], &["cannot be used with", "--policy"]);
}

#[test]
fn a_list_into_a_pipe_fits_every_terminal() {
    let (_, stdout, _) = run(xtask(&["run", "--list"]).env_remove("COLUMNS"));
    let widest = stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}: {stdout}");
}

#[test]
fn of_the_steps_those_are_listed_that_are_named() {
    let (status, stdout, stderr) = run(&mut xtask(&["test", "--list", "fmt"]));
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("fmt") && !stdout.contains("mutant::"), "{stdout}");
}

#[test]
fn a_number_out_of_its_range_is_refused_with_the_range_that_help_names() {
    for (command, option, value, error, help) in [
        ("run", "--cpus", "0", "0 is not in 1..=8", "Number of CPUs, 1 to 8"),
        ("run", "--cpus", "9", "9 is not in 1..=8", "Number of CPUs, 1 to 8"),
        ("run", "--time-limit-s", "0", "0 is not in 1..=86400", "1 to 86400 seconds"),
        ("compare", "--cpus", "3", "3 is not in 1..=2", "1 or 2"),
        ("compare", "--sequences", "0", "0 is not in 1..=1000000", "1 to 1000000"),
    ] {
        refused(&[command, option, value], &[option, error]);
        let (_, stdout, _) = run(&mut xtask(&[command, "--help"]));
        let words = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(help), "no `{help}` in: {stdout}");
    }
}

#[test]
fn mutants_are_listed_and_an_unknown_one_is_answered_with_the_nearest() {
    let (status, stdout, stderr) = run(&mut xtask(&["mutants", "--list", "first-claim"]));
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("\nfirst-claim-stops "), "{stdout}");
    assert!(!stdout.contains("\nno-"), "{stdout}");
    let (_, all, _) = run(&mut xtask(&["mutants", "--list", "--format", "json"]));
    let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    let many = all["mutants"].as_array().expect("an array").len();
    let command = format!("`cargo xtask mutants --list` lists all {many}");
    refused(&["mutants", "first-clam-stops"], &["names are first-claim-stops, ", &command]);
    let (_, _, stderr) = run(&mut xtask(&["mutants", "nosuch"]));
    assert!(stderr.len() < 300, "{stderr}");
}
