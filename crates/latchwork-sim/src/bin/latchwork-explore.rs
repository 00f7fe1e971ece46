// SPDX-License-Identifier: MIT OR Apache-2.0
//! Searches the simulated machine. `cargo xtask explore` builds and runs it.

use std::{fs, ops::Range, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use latchwork_sim::{
    engine::{Detail, Trace},
    explore::{self, Entry, Outcome, Reach, Searched, document, policies},
    run::Setting,
    scenario::{Extent, OPEN, SCENARIOS, Scenario},
};

/// Searches the simulated machine for what breaks a policy.
#[derive(Debug, Parser)]
#[command(name = "latchwork-explore")]
struct Options {
    /// Only this policy; may be given several times
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How far the exhaustive search goes
    #[arg(long, value_enum, default_value_t = Bounds::Full)]
    bounds: Bounds,
    /// Replay this trace of the one policy and scenario that are named
    #[arg(long, value_name = "TRACE")]
    replay: Option<Trace>,
    /// The trace is of random search
    #[arg(long, requires = "replay")]
    long: bool,
    /// Show each access to memory, too
    #[arg(long, requires = "replay")]
    accesses: bool,
    /// Random search: one execution for each of these seeds; prints a JSON line for each policy and
    /// scenario
    #[arg(long, value_name = "A..B", value_parser = seed_range, conflicts_with = "replay")]
    seed_range: Option<Range<u64>>,
    /// List policies and scenarios
    #[arg(long)]
    list: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Where the result goes instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bounds {
    /// No preemption: CPUs change where one waits or halts
    None,
    /// One preemption an execution
    Small,
    /// As many as each scenario says
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One document.
    Json,
}

fn seed_range(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| {
        let range = from.parse().ok()?..to.parse().ok()?;
        (range.start < range.end).then_some(range)
    });
    range.ok_or_else(|| "a range of seeds is written like 0..1000, and is not empty".to_owned())
}

/// Exit status when this program cannot do what was asked.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    if options.list {
        list();
        return Ok(true);
    }
    let chosen = chosen("policy", &options.policy, policies(), |entry| entry.name)?;
    let mut scenarios = SCENARIOS.to_vec();
    if !options.scenario.is_empty() {
        scenarios.extend(OPEN.iter().map(|open| open.scenario));
    }
    let scenarios = self::chosen("scenario", &options.scenario, scenarios, |one| one.name)?;
    if let Some(trace) = &options.replay {
        return replay(&chosen, &scenarios, trace, options);
    }
    if let Some(seeds) = &options.seed_range {
        return sample(&chosen, &scenarios, seeds, options);
    }
    let reach = match options.bounds {
        Bounds::None => Reach::Preemptions(0),
        Bounds::Small => Reach::Preemptions(1),
        Bounds::Full => Reach::Full,
    };
    let outcomes = explore::explore(&chosen, &scenarios, reach, &print_search);
    for outcome in &outcomes {
        print_violations(outcome);
    }
    let held = outcomes.iter().all(Outcome::is_as_it_should_be);
    let text = match options.format {
        Format::Table => explore::table(&outcomes).to_string(),
        Format::Json => document(&outcomes).to_string(),
    };
    print(options, &text)?;
    Ok(held)
}

/// Those of `all` that are named, or all if none is.
fn chosen<T>(
    what: &str,
    names: &[String],
    all: Vec<T>,
    name_of: impl Fn(&T) -> &'static str,
) -> Result<Vec<T>, String> {
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|it| name_of(it) == **name)) {
        let known: Vec<_> = all.iter().map(&name_of).collect();
        return Err(format!("there is no {what} `{unknown}`; there are: {}", known.join(", ")));
    }
    let is_chosen = |it: &T| names.is_empty() || names.iter().any(|name| name == name_of(it));
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn list() {
    println!("Policies");
    for entry in policies() {
        println!("  {:24} {}", entry.name, entry.summary);
    }
    println!("\nScenarios");
    for scenario in SCENARIOS {
        println!("  {:24} {}", scenario.name, scenario.summary);
    }
    println!("\nScenarios in which ours violate something; searched only if named");
    for open in OPEN {
        let says = format!("{}: {}", open.violates, open.says);
        println!("  {:24} {} ({says})", open.scenario.name, open.scenario.summary);
    }
}

fn print_search(search: &Searched) {
    let end = match (search.found.is_empty(), search.unfinished) {
        (false, _) => "violated".to_owned(),
        (true, None) => "held".to_owned(),
        (true, Some(limit)) => format!("nothing found, {limit}"),
    };
    let Searched { policy, scenario, states, executions, elapsed, .. } = search;
    let (name, seconds) = (scenario.name, elapsed.as_secs_f64());
    eprintln!(
        "{policy} in {name}: {end} ({states} states, {executions} executions, {seconds:.1} s)"
    );
}

/// Prints what our policies violate, with the timeline of each violation. Baselines are meant to
/// violate something.
fn print_violations(outcome: &Outcome) {
    if !outcome.entry.is_ours() {
        return;
    }
    for found in outcome.violated().values() {
        let (policy, scenario) = (outcome.entry.name, found.scenario);
        let trace = &found.counterexample.trace;
        eprintln!(
            "\n{policy} in {scenario}: {}\n{}",
            found.counterexample.violation, found.timeline
        );
        eprintln!("cargo xtask explore --policy {policy} --scenario {scenario} --replay {trace}");
    }
}

fn replay(
    chosen: &[Entry],
    scenarios: &[&'static Scenario],
    trace: &Trace,
    options: &Options,
) -> Result<bool, String> {
    let ([entry], [scenario]) = (chosen, scenarios) else {
        return Err("name one --policy and one --scenario to replay a trace in".to_owned());
    };
    let extent = if options.long { Extent::Long } else { Extent::Exhaustive };
    let setting = Setting::new(scenario, extent, &entry.policy);
    let mut bounds = scenario.bounds();
    if options.long {
        bounds.points = explore::LONG_POINTS;
    }
    let detail = if options.accesses { Detail::Accesses } else { Detail::Notes };
    let replay = setting.replay(&bounds, trace, detail);
    println!("{}", replay.timeline);
    if let Some(strayed) = replay.strayed {
        return Err(format!("the trace is of another source: {strayed:?}"));
    }
    Ok(replay.violation.is_none())
}

fn sample(
    chosen: &[Entry],
    scenarios: &[&'static Scenario],
    seeds: &Range<u64>,
    options: &Options,
) -> Result<bool, String> {
    let mut lines = String::new();
    let mut held = true;
    for entry in chosen {
        for scenario in scenarios {
            if !scenario.suits(&*(entry.policy)()) {
                continue;
            }
            let line = explore::sample(entry, scenario, seeds.clone(), &|_| true);
            held &= line.held() || !entry.is_ours();
            let line = serde_json::to_string(&line).map_err(|error| error.to_string())?;
            match &options.output {
                None => println!("{line}"),
                Some(_) => lines.extend([&line, "\n"]),
            }
        }
    }
    if options.output.is_some() {
        print(options, lines.trim_end())?;
    }
    Ok(held)
}

fn print(options: &Options, text: &str) -> Result<(), String> {
    match &options.output {
        None => {
            println!("{text}");
            Ok(())
        }
        Some(path) => fs::write(path, format!("{text}\n"))
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
    }
}
