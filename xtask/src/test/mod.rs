// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: every check of the CI tier.
//!
//! Each check is a step with a name. As many steps run at a time as there are processors, and a few
//! more that wait most of the time. xtask records the result of each and how long it took, to say
//! how long the next run will take, to begin with the longest steps, and to resume.

mod boots;
mod choice;
mod commands;
mod known_mistakes;
mod log;
mod matrix;
mod outcome;
mod pool;
mod record;
mod step;
mod tables;
mod toolchains;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use crate::cells;
use crate::error::UserError;
use crate::guest::{install, qemu::Qemu};
use crate::mutants::{Copies, Trials};
use crate::suites::Suite;
use crate::workspace;
use boots::Place;
use choice::Choice;
use log::Log;
use outcome::{Row, duration};
use pool::Lanes;
use record::Record;
use step::{Group, Step};

pub(crate) use commands::{LOOM_FLAGS, LOOM_PROFILE};

/// The step that builds the kernel.
const KERNEL: &str = "kernel";

/// The options of `test`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only these steps, with what they need: names that `--list` prints, the beginning of some up
    /// to a `::`, or a group
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only this step and those listed behind it
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Leave out what passed the last time that it was done, if that was on this source
    #[arg(long)]
    resume: bool,
    /// List these steps and what they came to last time, and do nothing
    #[arg(long)]
    list: bool,
    /// Boot every scenario on every machine and every fault on several, print the matrix, and try
    /// mutants in the simulated machine, too
    #[arg(long)]
    all: bool,
    /// Also build with the oldest supported compiler and for targets that rustup need not have (see
    /// `.ci/run`)
    #[arg(long)]
    toolchains: bool,
    /// Boot on this Debian suite's QEMU, which is downloaded and unpacked, whatever is installed;
    /// of several suites, all but the newest boot a few cells only
    #[arg(long, value_enum, value_name = "SUITE")]
    suite: Vec<Suite>,
}

/// Runs the chosen steps, whatever fails; the value says whether nothing did.
///
/// # Errors
///
/// [`UserError`] when no step has a given name; others when xtask cannot read the mutants' headers
/// or this machine. A step that cannot run is a failed step.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let places = places(options);
    let steps = steps(options, &places)?;
    let choice = Choice { names: &options.names, from: options.from.as_deref() };
    // Before anything is installed that they may need.
    choice::check(&steps, choice)?;
    find_qemu(options, &places)?;
    let target = workspace::target_dir();
    let record = Record::read(&target.join("test-record.json"));
    let source = match options.list && !options.resume {
        true => String::new(),
        false => record::fingerprint()? + &places.iter().map(basis).collect::<String>(),
    };
    let has_passed = |name: &str| options.resume && record.has_passed(name, &source);
    let (mut chosen, passed_before) = choice::choose(steps, choice, has_passed)?;
    if options.list {
        println!("{}", tables::list(&chosen, &record));
        return Ok(true);
    }
    let logs = target.join("test");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    if chosen.is_empty() {
        println!("every step that was asked for has passed on this source: {passed_before}");
        return Ok(passed_before > 0);
    }
    let asked = options.asked();
    announce(&chosen, passed_before, &record, record.whole_run(&asked));
    print_refusals(options, &places);

    by_urgency(&mut chosen, &record);
    let groups: BTreeMap<_, _> = chosen.iter().map(|it| (it.name.clone(), it.group)).collect();
    let started = Instant::now();
    let reporter = Reporter::new(chosen.len(), record, source);
    let lanes = Lanes { busy: processors(), waiting: jobs(), copies: Copies::count() };
    let rows = pool::run(chosen, lanes, &logs, &|row, log| reporter.report(row, log));
    let seconds = started.elapsed().as_secs_f64();
    if passed_before == 0 {
        reporter.note_whole_run(&asked, seconds);
    }
    conclude(&rows, &groups, options.all);
    let failed = rows.iter().filter(|row| row.failed()).count();
    let passed = rows.iter().filter(|row| row.passed()).count();
    let skipped = rows.len() - failed - passed;
    println!("\n{passed} passed, {failed} failed, {skipped} skipped in {}", duration(seconds));
    if passed_before > 0 {
        println!("{passed_before} more passed on this source before");
    }
    Ok(failed == 0)
}

impl Options {
    /// The request as text, under which the record keeps the time of a whole run.
    fn asked(&self) -> String {
        let suites = self.suite.iter().map(|suite| format!("--suite {suite}"));
        let flags = [("--all", self.all), ("--toolchains", self.toolchains)];
        let flags =
            flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned());
        let from = self.from.iter().map(|from| format!("--from {from}"));
        let words = suites.chain(flags).chain(from).chain(self.names.iter().cloned());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The places for boots, the newest QEMU last.
fn places(options: &Options) -> Vec<Place> {
    let kernel = Arc::default();
    if options.suite.is_empty() {
        return vec![Place::installed(&kernel)];
    }
    Place::of_suites(&options.suite, &kernel)
}

/// Finds this machine's QEMU, unless boots are on a suite's. It may install it, but not for a list.
fn find_qemu(options: &Options, places: &[Place]) -> anyhow::Result<()> {
    if !options.suite.is_empty() {
        return Ok(());
    }
    let found = if options.list { Qemu::find()? } else { installed()? };
    for (place, qemu) in places.iter().zip(found) {
        place.has(qemu);
    }
    Ok(())
}

fn installed() -> anyhow::Result<Option<Qemu>> {
    match install::find_or_install(false) {
        Ok(qemu) => Ok(Some(qemu)),
        Err(error) => match error.downcast_ref::<UserError>() {
            Some(UserError::QemuMissing { .. }) => {
                eprintln!("boots are skipped: {error}");
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

/// Every step, in the order in which they are listed.
fn steps(options: &Options, places: &[Place]) -> anyhow::Result<Vec<Step>> {
    let trials = Trials::of(options.all)?;
    let newest = places.last().context("nothing to boot on")?;
    let mut steps = boots::steps(places, options.all);
    steps.extend(commands::steps(&trials, newest.for_commands()));
    steps.extend(known_mistakes::steps(trials, &newest.for_commands()));
    if options.toolchains {
        steps.extend(toolchains::steps(newest));
    }
    steps.sort_by_key(|step| step.group);
    Ok(steps)
}

/// The emulator, as part of what a result rests on.
fn basis(place: &Place) -> String {
    place.qemu().map_or_else(String::new, |qemu| format!(", {qemu}"))
}

fn announce(steps: &[Step], passed_before: usize, record: &Record, last_time: Option<f64>) {
    println!("{}", tables::plan(steps, record));
    let lanes = processors();
    let whole = match last_time {
        Some(seconds) => format!("which took {} last time", duration(seconds)),
        None => String::from("of which no whole run is on record"),
    };
    println!("steps: {}, {lanes} at a time, {whole}", steps.len());
    if passed_before > 0 {
        println!("left out, since they have passed on this source: {passed_before}");
    }
}

/// Prints what the QEMU of this machine cannot boot, before anything boots.
fn print_refusals(options: &Options, places: &[Place]) {
    if !options.suite.is_empty() {
        return;
    }
    let cells = if options.all { cells::all() } else { cells::selection() };
    for qemu in places.iter().filter_map(Place::qemu) {
        boots::refusals(&cells, qemu).iter().for_each(|line| println!("{line}"));
    }
}

/// Sorts the steps: first those that others wait for, the most awaited first, and those that hold a
/// lock, then those that take longest.
fn by_urgency(steps: &mut [Step], record: &Record) {
    let mut awaited: BTreeMap<String, usize> = BTreeMap::new();
    for name in steps.iter().flat_map(|step| &step.needs) {
        *awaited.entry(name.clone()).or_default() += 1;
    }
    let awaiting = |step: &Step| awaited.get(&step.name).copied().unwrap_or_default();
    let holds_lock = |step: &Step| matches!(step.uses, Some(step::Resource::Builds(_)));
    let seconds = |step: &Step| record.seconds(&step.name).unwrap_or(step.guess_s);
    steps.sort_by(|a, b| {
        let by_awaiting = awaiting(b).cmp(&awaiting(a));
        let by_lock = holds_lock(b).cmp(&holds_lock(a));
        by_awaiting.then(by_lock).then(seconds(b).total_cmp(&seconds(a)))
    });
}

/// Prints each step that is over, and keeps the record.
struct Reporter {
    steps: usize,
    source: String,
    /// How many steps are over, and the record.
    now: Mutex<(usize, Record)>,
}

impl Reporter {
    const fn new(steps: usize, record: Record, source: String) -> Self {
        Self { steps, source, now: Mutex::new((0, record)) }
    }

    fn report(&self, row: &Row, log: &Log) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (over, record) = &mut *now;
        *over += 1;
        let (number, steps, verdict) = (*over, self.steps, row.verdict());
        eprintln!("[{number:>4}/{steps}] {verdict:<7} {} {}", row.name, duration(row.seconds));
        if row.failed() {
            eprint!("{}", log.read());
            eprintln!("=== {} FAILED: {}", row.name, row.reason());
        } else if row.name.starts_with("qemu") {
            eprint!("{}", log.read());
        }
        if let Err(error) = record.note(row, &self.source) {
            eprintln!("warning: {error:#}");
        }
    }

    fn note_whole_run(&self, asked: &str, seconds: f64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = now.1.note_whole_run(asked, seconds) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Prints the results.
fn conclude(rows: &[Row], groups: &BTreeMap<String, Group>, matrices: bool) {
    if matrices {
        println!("\nSeconds of each boot");
        for table in matrix::tables(rows) {
            println!("{table}");
        }
    }
    println!("\n{}", tables::results(rows, groups));
    println!("The slowest:");
    tables::slowest(rows).iter().for_each(|line| println!("{line}"));
    tables::skipped(rows).iter().for_each(|line| println!("{line}"));
    for row in rows.iter().filter(|row| row.failed()) {
        println!("FAILED {}: {}", row.name, row.reason());
    }
    if rows.iter().any(Row::failed) {
        println!("Again, and only what has not passed: the same command with --resume");
    }
}

/// How many steps run at a time that keep a processor busy.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// How many compilers each build of a step may run, and how many steps run that mostly wait: both
/// are beside other steps.
fn jobs() -> usize {
    (processors() / 2).max(1)
}
