// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds out what each CPU of a guest that has been silent for too long does, and what it waits
//! for.
//!
//! The guest cannot say so: the CPU that could may be the one that waits, or the emulator may not
//! execute it at all. So this module asks the emulator's monitor for the registers and for the
//! array in which each CPU notes its waits (`kernel/src/waiting`).

#[path = "../../../kernel/src/waiting/layout.rs"]
mod layout;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::layout::{PLACEHOLDER, SYMBOL, WAITS_A_CPU, WORDS_A_SITE, WORDS_A_WAIT};
use super::monitor::Monitor;
use super::symbols::{Image, Symbols};

/// How long the monitor may take in all: its answers take milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// The time between two readings of the registers. A CPU that executes instructions has other
/// values then, unless it is in the tightest of loops.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// One line for each CPU; or, in their place, why there are none.
pub(super) fn look(monitor: &mut Monitor, kernel: &Path) -> Vec<String> {
    match try_look(monitor, kernel) {
        Ok(lines) => lines,
        Err(error) => vec![format!("where its CPUs stand cannot be told: {error:#}")],
    }
}

fn try_look(monitor: &mut Monitor, kernel: &Path) -> anyhow::Result<Vec<String>> {
    let image = Image::read(kernel)?;
    let symbols = image.symbols()?;
    let array = symbols.variable(SYMBOL).context("the kernel notes no waits")?;
    let deadline = Instant::now() + LIMIT;
    let mut ask = |question: &str| monitor.ask(deadline, |it| it.human(question, deadline));

    let before = ask("info registers -a")?;
    let before = registers(&before);
    thread::sleep(BETWEEN_LOOKS);
    let after = ask("info registers -a")?;
    let after = registers(&after);
    let words = words(&ask(&format!("xp /{}gx {:#x}", array.bytes / 8, array.address))?);
    let waits = words.chunks(WAITS_A_CPU * WORDS_A_WAIT).chain(std::iter::repeat(&[][..]));
    let cpus = after.iter().zip(waits).enumerate();
    Ok(cpus
        .map(|(cpu, (now, waits))| {
            let is_as_before = before.get(cpu) == Some(now);
            format!(
                "CPU {cpu} {}; {}",
                waits_for(waits, &symbols),
                does(now, is_as_before, &symbols)
            )
        })
        .collect())
}

/// The monitor's text about each CPU.
fn registers(text: &str) -> Vec<&str> {
    text.split("CPU#").skip(1).collect()
}

/// The words that the monitor shows in lines of `address: 0x... 0x...`.
fn words(text: &str) -> Vec<u64> {
    let shown = text.lines().filter_map(|line| line.split_once(':'));
    let shown = shown.flat_map(|(_, words)| words.split_whitespace());
    shown.filter_map(hexadecimal).collect()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// What a CPU does, by its registers, and by whether they are as they were before.
fn does(registers: &str, is_as_before: bool, symbols: &Symbols<'_>) -> String {
    let field = |name: &str| {
        let (_, from_there) = registers.split_once(name)?;
        from_there.split_whitespace().next()
    };
    let does = match field("HLT=") {
        Some("1") => "it is halted",
        _ if is_as_before => "it executes nothing or a tight loop",
        _ => "it executes",
    };
    let Some(ip) = field("RIP=").and_then(hexadecimal) else {
        return format!("{does}, nobody says where");
    };
    let function =
        symbols.function_at(ip).unwrap_or_else(|| String::from("no function of the kernel"));
    format!("{does} at {ip:#x}, in {function}")
}

/// What a CPU waits for, by the waits that it has noted.
fn waits_for(waits: &[u64], symbols: &Symbols<'_>) -> String {
    let noted = waits.chunks(WORDS_A_WAIT).filter_map(|wait| awaited(wait, symbols)).rev();
    let noted: Vec<_> = noted.collect();
    match noted.as_slice() {
        [] => String::from("waits for nothing that has a name"),
        all => format!("waits for {}", all.join(", on top of a wait for ")),
    }
}

/// What a wait waits for and where, if there is one.
fn awaited(wait: &[u64], symbols: &Symbols<'_>) -> Option<String> {
    let &[site, number, _since_ticks] = wait else {
        return None;
    };
    if site == 0 {
        return None;
    }
    let [text, text_bytes, file, file_bytes, line] =
        symbols.constant_words::<WORDS_A_SITE>(site)?;
    let text = String::from_utf8_lossy(symbols.constant(text, text_bytes)?);
    let file = String::from_utf8_lossy(symbols.constant(file, file_bytes)?);
    let text = text.replace(PLACEHOLDER, &number.to_string());
    Some(format!("{text} ({file}:{line})"))
}

#[cfg(test)]
mod tests;
