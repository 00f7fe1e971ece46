// SPDX-License-Identifier: MIT OR Apache-2.0
//! Searches the simulated machine at random and at length, and adds up several such searches.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use latchwork_sim::{
    explore::{Campaign, Entry, Line, Progress, merge_lines, policies},
    scenario::{SCENARIOS, Scenario},
};

/// Searches the simulated machine at random, at length
#[derive(Debug, Parser)]
struct Options {
    /// Ends after so many choice points
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000)]
    points: u64,
    /// Ends after so many minutes at the latest
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// The first seed; without it, one that depends on the time, so that no two campaigns see the
    /// same
    #[arg(long, value_name = "SEED")]
    first_seed: Option<u64>,
    /// How many threads search; without it, one for each processor
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Only this policy; ours without it
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Where the result goes, too: a JSON line for each policy and scenario
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Searches nothing, but adds up these results of other campaigns
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["points", "first_seed"])]
    merge: Vec<PathBuf>,
}

/// Exit status when this program cannot do what was asked.
const UNUSABLE: u8 = 2;
/// How often it prints its progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let text = if options.merge.is_empty() { search(options)? } else { read(&options.merge)? };
    let lines = merge_lines(&text).map_err(|error| format!("not a campaign's result: {error}"))?;
    let mut held = !lines.is_empty();
    let (mut executions, mut points) = (0, 0);
    for line in &lines {
        executions += line["executions"].as_u64().unwrap_or(0);
        points += line["points"].as_u64().unwrap_or(0);
        let violation = &line["violation"];
        if let (Some(text), Some(replay)) =
            (violation["text"].as_str(), violation["replay"].as_str())
        {
            held = false;
            let place = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            println!("{} in {}: {text}\n  {replay}", place("policy"), place("scenario"));
        }
    }
    let verdict = if held { "nothing is violated" } else { "something is violated" };
    println!(
        "{points} choice points in {executions} executions, {} policies and scenarios: {verdict}",
        lines.len()
    );
    if let Some(path) = &options.output {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(held)
}

fn read(paths: &[PathBuf]) -> Result<String, String> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path)
            .map(|text| text + "\n")
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    paths.iter().map(read).collect()
}

/// Returns what it found, as lines.
fn search(options: &Options) -> Result<String, String> {
    let (chosen, scenarios) = chosen(options)?;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let campaign = Campaign {
        first_seed: options.first_seed.unwrap_or_else(seed_of_now),
        points: options.points,
        longest: Duration::from_secs(options.minutes * 60),
        threads: options.threads.unwrap_or(processors),
    };
    println!("seeds from {} on, {} threads", campaign.first_seed, campaign.threads);
    let printed = Mutex::new((Instant::now(), String::new()));
    let progress = campaign.run(&chosen, &scenarios, &|line, progress| {
        let mut printed = printed.lock().expect("nobody panics while printing");
        let (last, lines) = &mut *printed;
        print_violation(line);
        lines.push_str(&serde_json::to_string(line).expect("a line is JSON"));
        lines.push('\n');
        if last.elapsed() >= PROGRESS_EVERY {
            *last = Instant::now();
            print_progress(&campaign, progress);
        }
    });
    print_progress(&campaign, progress);
    let (_, lines) = printed.into_inner().expect("nobody panics while printing");
    Ok(lines)
}

fn print_violation(line: &Line) {
    if let Some((text, replay)) = line.found() {
        let (policy, scenario) = line.place();
        eprintln!("{policy} in {scenario}: {text}\n  {replay}");
    }
}

fn print_progress(campaign: &Campaign, progress: Progress) {
    let seconds = progress.elapsed.as_secs();
    let (rate, points) = (progress.points_per_s(), progress.points);
    let per_thread = rate / campaign.threads.max(1) as f64;
    eprintln!(
        "{:.1} of {:.1} million choice points in {seconds} s: {:.2} million a second, {:.2} a \
         thread; {} violations",
        points as f64 / 1e6,
        campaign.points as f64 / 1e6,
        rate / 1e6,
        per_thread / 1e6,
        progress.violations
    );
}

fn chosen(options: &Options) -> Result<(Vec<Entry>, Vec<&'static Scenario>), String> {
    let is_chosen = |names: &[String], name: &str, otherwise: bool| {
        if names.is_empty() { otherwise } else { names.iter().any(|one| one == name) }
    };
    let known = |name: &&String| policies().iter().any(|it| it.name == name.as_str());
    if let Some(name) = options.policy.iter().find(|name| !known(name)) {
        return Err(format!("there is no policy {name}; `cargo xtask explore --list` names all"));
    }
    if let Some(name) = options.scenario.iter().find(|name| Scenario::named(name).is_none()) {
        return Err(format!("there is no scenario {name}; `cargo xtask explore --list` names all"));
    }
    let entries = policies().into_iter();
    let entries = entries.filter(|it| is_chosen(&options.policy, it.name, it.is_ours())).collect();
    let scenarios = SCENARIOS.iter().copied();
    let scenarios = scenarios.filter(|it| is_chosen(&options.scenario, it.name, true)).collect();
    Ok((entries, scenarios))
}

/// A seed that is far from those of a campaign that began a second before.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 24
}
