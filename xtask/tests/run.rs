// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run` as a process, with an emulator that is a shell script: what it says and how it
//! ends where something is missing or in the way, or a signal stops it.

use std::fs::{self, File};
use std::io::Read as _;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, with the fake emulator and any file as the kernel.
fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(arguments)
        .env("LATCHWORK_QEMU", fake())
        .env("LATCHWORK_KERNEL", fake())
        .env("COLUMNS", "100")
        .env_remove("CI")
        .stdin(Stdio::null());
    command
}

fn fake() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-qemu.sh")
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&path));
    fs::create_dir_all(&path).expect("made");
    path
}

/// Exit status, standard output and standard error.
fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

/// Checks that the command fails at once with all of `words` in one line, and boots nothing.
fn refused(command: &mut Command, words: &[&str]) {
    let (status, stdout, stderr) = run(command);
    assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
    let error = stderr.lines().find(|line| line.starts_with("error: ")).expect(&stderr);
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

#[test]
fn the_first_command_holds_and_says_what_is_behind_the_other() {
    let (status, stdout, stderr) = run(&mut xtask(&["run"]));
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert!(stdout.contains("more scenarios: --all-scenarios\nheld\n"), "{stdout}");
    assert!(stderr.contains("hot-remove: held: 2 checks, 3 NMIs"), "{stderr}");
    // No guest's own line, and no escape code: these are pipes.
    assert!(!stderr.contains("@latchwork") && !stderr.contains("$ "), "{stderr}");
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'));
    let (_, all, _) = run(&mut xtask(&["run", "--all-scenarios"]));
    assert!(!all.contains("--all-scenarios") && all.contains("self-nmi-in-handler"), "{all}");
}

#[test]
fn verbose_shows_the_command_with_the_emulators_path() {
    let (_, _, stderr) = run(&mut xtask(&["run", "--verbose", "--scenario", "hot-remove"]));
    let command = format!("$ {} -machine q35 ", fake().display());
    assert!(stderr.contains(&command), "{stderr}");
}

#[test]
fn without_qemu_and_without_apt_it_says_what_to_install() {
    let nothing = folder("empty-path");
    let mut command = xtask(&["run"]);
    command.env_remove("LATCHWORK_QEMU").env("PATH", &nothing);
    refused(&mut command, &["QEMU is not installed", "--qemu PATH"]);
}

/// The command where there is no QEMU, and an apt that has no network; and the file with what that
/// apt was asked for.
fn with_apt(name: &str, arguments: &[&str]) -> (Command, PathBuf) {
    let folder = folder(name);
    let apt = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-apt-get.sh");
    for program in ["apt-get", "sudo"] {
        symlink(&apt, folder.join(program)).expect("made");
    }
    let log = folder.join("log");
    let mut command = xtask(arguments);
    command.env_remove("LATCHWORK_QEMU").env("PATH", &folder).env("FAKE_LOG", &log);
    (command, log)
}

#[test]
fn nothing_is_installed_unless_somebody_agrees() {
    let (mut command, log) = with_apt("apt-unasked", &["run"]);
    refused(&mut command, &["QEMU is not installed", "apt-get install qemu-system-x86", "--yes"]);
    assert!(!log.exists());
}

#[test]
fn nothing_is_installed_for_a_step_that_there_is_not() {
    let (mut command, log) = with_apt("apt-for-no-step", &["test", "nosuch"]);
    refused(command.env("CI", "true"), &["there is no step `nosuch`"]);
    assert!(!log.exists());
}

#[test]
fn without_a_network_it_says_what_failed() {
    let (mut command, log) = with_apt("apt-fails", &["run", "--yes"]);
    refused(&mut command, &["`apt-get update` failed", "network", "by hand"]);
    let asked = fs::read_to_string(log).expect("it was asked");
    assert!(asked == "update\n" || asked == "apt-get update\n", "{asked}");
}

#[test]
fn where_something_would_be_removed_it_says_what_to_do_instead() {
    let (mut command, log) = with_apt("apt-removes", &["run", "--yes"]);
    command.env("FAKE_REMOVES", "qemu-utils");
    let by_hand = "apt-get install --no-install-recommends qemu-system-x86` by hand";
    let beside = "`cargo xtask unpack SUITE`";
    refused(&mut command, &["would remove qemu-utils", by_hand, beside, "--qemu PATH"]);
    let asked = fs::read_to_string(log).expect("it was asked");
    let kept = |line: &str| line.contains("--no-remove") || line.contains("--simulate");
    let installs: Vec<_> = asked.lines().filter(|line| line.contains("install")).collect();
    assert!(installs.len() == 2 && installs.iter().all(|line| kept(line)), "{asked}");
}

#[test]
fn an_emulator_that_is_not_there_is_named() {
    refused(&mut xtask(&["--qemu", "/no/qemu", "run"]), &["/no/qemu", "there is no such file"]);
    refused(xtask(&["run"]).env("LATCHWORK_QEMU", "/no/qemu"), &["/no/qemu"]);
    refused(&mut xtask(&["run", "--qemu", "/bin/true"]), &["/bin/true", "says no version"]);
}

#[test]
fn an_old_qemu_is_refused_with_what_mends_it() {
    let words = ["QEMU 4.2.1", "too old", "5.2", "--qemu PATH"];
    refused(xtask(&["run"]).env("FAKE_VERSION", "4.2.1"), &words);
    let mut x2apic = xtask(&["run", "--apic", "x2apic"]);
    refused(x2apic.env("FAKE_VERSION", "7.2.22"), &["QEMU 7.2.22", "x2APIC", "--qemu PATH"]);
}

#[test]
fn a_qemu_without_q35_is_refused_and_serves_for_another_machine() {
    refused(xtask(&["run"]).env("FAKE_MACHINES", "pc"), &["machine type `q35`"]);
    let mut on_pc = xtask(&["run", "--machine", "pc", "--scenario", "hot-remove"]);
    let (status, stdout, stderr) = run(on_pc.env("FAKE_MACHINES", "pc"));
    assert_eq!(status, 0, "{stdout}{stderr}");
}

#[test]
fn what_needs_a_device_that_qemu_lacks_is_skipped_unless_it_was_named() {
    let devices = ("FAKE_DEVICES", "isa-debug-exit i6300esb");
    let (status, stdout, stderr) = run(xtask(&["run"]).env(devices.0, devices.1));
    assert_eq!(status, 0, "{stdout}{stderr}");
    let skipped = stderr.find("edu-msi: skipped: ").expect(&stderr);
    assert!(Some(skipped) < stderr.find("shared-source: "), "{stderr}");
    assert!(stdout.contains("edu-msi: skipped: ") && stdout.contains("device `edu`"), "{stdout}");
    assert!(stdout.ends_with("held, but for what was skipped\n"), "{stdout}");
    let mut json = xtask(&["run", "--format", "json"]);
    let (_, stdout, _) = run(json.env(devices.0, devices.1));
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    let names: Vec<_> = json["skipped"].as_array().expect("an array").iter().collect();
    assert_eq!((names.len(), &names[0]["name"]), (2, &"edu-msi".into()));
    let mut named = xtask(&["run", "--scenario", "edu-msi", "--scenario", "unknown"]);
    refused(named.env(devices.0, devices.1), &["edu-msi", "device `edu`"]);
}

#[test]
fn a_folder_that_nothing_can_be_built_in_is_named() {
    let mut command = xtask(&["run", "--scenario", "hot-remove"]);
    command.env_remove("LATCHWORK_KERNEL").env("CARGO_TARGET_DIR", "/dev/null/target");
    refused(&mut command, &["/dev/null/target", "CARGO_TARGET_DIR"]);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = xtask(&["run", "--list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), stderr.as_str()), (Some(141), ""));
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").expect("there");
    let output = xtask(&["run"]).stdout(full).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("could not be printed: No space left on device"), "{stderr}");
}

/// A run whose guests go on for ever. The test waits until two of them are there.
struct Endless {
    process: Child,
    /// Temporary files of its own.
    folder: PathBuf,
    pids: Vec<Pid>,
}

impl Endless {
    fn start(guest: &str, name: &str) -> Self {
        let folder = folder(name);
        let list = folder.join("pids");
        let temporary = folder.join("temporary");
        fs::create_dir(&temporary).expect("made");
        let process = xtask(&["run", "--scenario", "button", "--scenario", "hot-remove"])
            .env("FAKE_GUEST", guest)
            .env("FAKE_PIDS", &list)
            .env("TMPDIR", &temporary)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut endless = Self { process, folder: temporary, pids: Vec::new() };
        let started = Instant::now();
        while endless.pids.is_empty() {
            assert!(started.elapsed() < PATIENCE, "no guest was started");
            std::thread::sleep(Duration::from_millis(20));
            endless.pids = listed(&list);
        }
        endless
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).expect("it runs");
    }

    /// Exit status and standard error, when it has ended and no guest is left.
    fn end(mut self) -> (Option<i32>, String, PathBuf) {
        let mut stderr = String::new();
        self.process.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
        let status = self.process.wait().expect("it ends");
        let started = Instant::now();
        for pid in self.pids {
            while is_running(pid) {
                assert!(started.elapsed() < PATIENCE, "{pid} is left behind; {stderr}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        (status.code(), stderr, self.folder)
    }
}

/// The processes in the list, once every guest that boots at the same time has written its line.
fn listed(list: &Path) -> Vec<Pid> {
    let guests = available_parallelism().map_or(1, NonZero::get).min(2);
    let text = fs::read_to_string(list).unwrap_or_default();
    if text.lines().count() < guests || !text.ends_with('\n') {
        return Vec::new();
    }
    let pid = |word: &str| Pid::from_raw(word.parse().expect("a number"));
    text.split_whitespace().map(pid).collect()
}

/// Whether there is such a process, and it is no zombie.
fn is_running(pid: Pid) -> bool {
    if kill(pid, None) == Err(Errno::ESRCH) {
        return false;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn whoever_asks_for_an_end_gets_it_and_nothing_is_left_behind() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let endless = Endless::start("for-ever", &format!("interrupted-{signal}"));
        endless.send(signal);
        let (code, stderr, temporary) = endless.end();
        assert_eq!(code, Some(status), "{stderr}");
        assert!(stderr.contains(&format!("stopped by {signal}")), "{stderr}");
        assert!(!stderr.contains("NOT held"), "{stderr}");
        let left: Vec<_> = fs::read_dir(temporary).expect("there").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn an_emulator_does_not_outlive_us_even_if_we_are_killed() {
    let endless = Endless::start("for-ever-as-itself", "killed");
    endless.send(Signal::SIGKILL);
    assert_eq!(endless.end().0, None);
}
