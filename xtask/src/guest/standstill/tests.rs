// SPDX-License-Identifier: MIT OR Apache-2.0
//! Monitors that are scripts, and a kernel that is an image with one function and two sites.

use std::thread::JoinHandle;

use super::*;
use crate::guest::qmp::tests::{DONE, GREETING, serve};
use crate::guest::symbols::tests::elf;
use crate::private_dir::PrivateDir;

const IMAGE_AT: u64 = 0x10_0000;
const WAITS_AT: u64 = 0x20_0000;
const FUNCTION_AT: u64 = 0x10_0800;
const TEXTS: [&str; 3] = ["CPU {} to park", "a job", "a.rs"];

/// Where the sites are whose texts are the first two.
const SITES_AT: [u64; 2] = [IMAGE_AT, IMAGE_AT + WORDS_A_SITE as u64 * 8];

fn kernel(symbol: &str) -> Vec<u8> {
    let texts_at = SITES_AT[1] + WORDS_A_SITE as u64 * 8;
    let at = |text: usize| {
        let before: usize = TEXTS[..text].iter().map(|text| text.len()).sum();
        [texts_at + before as u64, TEXTS[text].len() as u64]
    };
    let site = |text: usize, line: u64| [&at(text)[..], &at(2)[..], &[line]].concat();
    let words = [site(0, 17), site(1, 54)].concat();
    let mut data: Vec<_> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    data.extend(TEXTS.concat().bytes());
    let bytes = (2 * WAITS_A_CPU * WORDS_A_WAIT * 8) as u64;
    let symbols = [(symbol, WAITS_AT, bytes, false), ("wait_here", FUNCTION_AT, 0x20, true)];
    elf(IMAGE_AT, &data, &symbols)
}

fn said(text: &str) -> String {
    serde_json::json!({ "return": text }).to_string()
}

/// What the monitor says about the registers of CPUs that are at these addresses, halted or not,
/// with this in RAX.
fn registers_of(cpus: &[(u64, bool, u64)]) -> String {
    let text = cpus.iter().enumerate().map(|(cpu, (ip, halted, rax))| {
        let halted = u8::from(*halted);
        let flags = format!("RFL=00000002 [-------] HLT={halted}");
        format!("CPU#{cpu}\r\nRAX={rax:016x}\r\nRIP={ip:016x} {flags}\r\n\r\n")
    });
    said(&text.collect::<String>())
}

/// What it says about two CPUs' waits, of which the first ones are given.
fn memory_of(waits: [&[(u64, u64)]; 2]) -> String {
    let words = waits.into_iter().flat_map(|waits| {
        let noted = waits.iter().flat_map(|(site, number)| [*site, *number, 99]);
        noted.chain(std::iter::repeat(0)).take(WAITS_A_CPU * WORDS_A_WAIT)
    });
    let words: Vec<_> = words.collect();
    let lines = words.chunks(2).map(|pair| {
        let pair = pair.iter().map(|word| format!(" 0x{word:016x}"));
        format!("00200000:{}\r\n", pair.collect::<String>())
    });
    said(&lines.collect::<String>())
}

/// The lines when the monitor gives these answers, and the questions that it got.
fn told(kernel: &[u8], answers: &[String]) -> (Vec<String>, Vec<String>) {
    let folder = PrivateDir::new().expect("a folder");
    let path = folder.path().join("kernel");
    std::fs::write(&path, kernel).expect("written");
    let mut monitor = Monitor::new().expect("a folder");
    let negotiation = [GREETING, DONE].map(str::to_owned);
    let server: JoinHandle<_> = serve(monitor.socket(), [&negotiation, answers].concat());
    let lines = look(&mut monitor, &path);
    // If nothing asked it, the server still waits for a client.
    drop(std::os::unix::net::UnixStream::connect(monitor.socket()));
    drop(monitor);
    (lines, server.join().expect("the commands"))
}

#[test]
fn each_cpu_is_told_with_what_it_waits_for_and_where() {
    let before = registers_of(&[(FUNCTION_AT + 3, false, 1), (FUNCTION_AT, true, 0)]);
    let after = registers_of(&[(FUNCTION_AT + 3, false, 2), (FUNCTION_AT, true, 0)]);
    let memory = memory_of([&[(SITES_AT[1], 0), (SITES_AT[0], 1)], &[(SITES_AT[1], 0)]]);
    let (lines, commands) = told(&kernel(SYMBOL), &[before, after, memory]);
    assert_eq!(
        lines,
        [
            "CPU 0 waits for CPU 1 to park (a.rs:17), on top of a wait for a job (a.rs:54); \
             it executes at 0x100803, in wait_here",
            "CPU 1 waits for a job (a.rs:54); it is halted at 0x100800, in wait_here",
        ]
    );
    assert!(commands[3].contains("xp /36gx 0x200000"), "{commands:?}");
}

#[test]
fn a_cpu_that_is_never_executed_is_told() {
    let registers = registers_of(&[(FUNCTION_AT, false, 1), (1, false, 0)]);
    let memory = memory_of([&[], &[]]);
    let (lines, _) = told(&kernel(SYMBOL), &[registers.clone(), registers, memory]);
    assert_eq!(
        lines,
        [
            "CPU 0 waits for nothing that has a name; it executes nothing or a tight loop at \
             0x100800, \
             in wait_here",
            "CPU 1 waits for nothing that has a name; it executes nothing or a tight loop at 0x1, \
             in no function of the kernel",
        ]
    );
}

#[test]
fn memory_that_makes_no_sense_names_nothing() {
    let registers = registers_of(&[(FUNCTION_AT, true, 0), (FUNCTION_AT, true, 0)]);
    let memory = memory_of([&[(0xffff_ffff_ffff_fff0, 0)], &[(SITES_AT[0] + 8, 1)]]);
    let (lines, _) = told(&kernel(SYMBOL), &[registers.clone(), registers, memory]);
    assert!(
        lines.iter().all(|line| line.contains("waits for nothing that has a name")),
        "{lines:?}"
    );
}

#[test]
fn what_keeps_it_from_being_told_is_told_instead() {
    let refusal = r#"{"error": {"class": "GenericError", "desc": "no such command"}}"#;
    for (kernel, answers, why) in [
        (kernel("OTHER"), vec![], "the kernel notes no waits"),
        (b"#!/bin/sh".to_vec(), vec![], "the kernel is no ELF image"),
        (kernel(SYMBOL), vec![refusal.to_owned()], "no such command"),
        (kernel(SYMBOL), vec![DONE.to_owned()], "no text"),
    ] {
        let (lines, _) = if answers.is_empty() {
            let mut monitor = Monitor::new().expect("a folder");
            let folder = PrivateDir::new().expect("a folder");
            let path = folder.path().join("kernel");
            std::fs::write(&path, kernel).expect("written");
            (look(&mut monitor, &path), Vec::new())
        } else {
            told(&kernel, &answers)
        };
        assert!(lines.len() == 1 && lines[0].contains(why), "{lines:?}");
    }
}
