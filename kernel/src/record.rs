// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records for the host: lines of `@latchwork ` and one JSON object. Ordinary context, but for
//! [`stopped`], [`ended_by`] and [`exit`].

use core::fmt::{self, Display, Write};

use latchwork_sequence::Played;

use crate::console::println;

/// Displays its argument inside a JSON string: quotes, backslashes and control characters are
/// escaped.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escape(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '"' | '\\' => write!(self.0, "\\{letter}")?,
                control if u32::from(control) < 0x20 => {
                    write!(self.0, "\\u{:04x}", u32::from(control))?
                }
                other => self.0.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// What the library's statistics add up to over all CPUs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Edges that reached the dispatcher.
    pub(crate) nmis: u64,
    /// Edges that a handler or a request claimed.
    pub(crate) claimed: u64,
    /// Edges absorbed as orphans.
    pub(crate) absorbed: u64,
    /// Edges that nothing explained.
    pub(crate) unknown: u64,
    /// What the scenario sent less what was claimed.
    pub(crate) lost: u64,
}

/// The machine as booted.
pub(crate) fn machine(machine: &str, cpus: usize, apic: &str) {
    let target = env!("LATCHWORK_KERNEL_TARGET");
    println!(
        "@latchwork \
         {{\"event\":\"machine\",\"machine\":{},\"cpus\":{cpus},\"apic\":{},\"kernel_target\":{}}}",
        Text(machine),
        Text(apic),
        Text(target)
    );
}

/// Reports progress, so that the host sees that the kernel is alive.
pub(crate) fn progress(done: u64, of: u64) {
    println!("@latchwork {{\"event\":\"progress\",\"done\":{done},\"of\":{of}}}");
}

/// One check's verdict, for [`check`] or the last words.
pub(crate) struct Check<'a> {
    pub(crate) name: &'a str,
    pub(crate) held: bool,
    pub(crate) expected: fmt::Arguments<'a>,
    pub(crate) saw: fmt::Arguments<'a>,
}

impl Display for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, held, expected, saw } = self;
        write!(
            f,
            "@latchwork \
             {{\"event\":\"check\",\"name\":{},\"held\":{held},\"expected\":{},\"saw\":{}}}",
            Text(name),
            Text(expected),
            Text(saw)
        )
    }
}

impl Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nmis, claimed, absorbed, unknown, lost } = self;
        write!(
            f,
            "@latchwork \
             {{\"event\":\"totals\",\"nmis\":{nmis},\"claimed\":{claimed},\"absorbed\":{absorbed},\
             \"unknown\":{unknown},\"lost\":{lost}}}"
        )
    }
}

const END: &str = "@latchwork {\"event\":\"end\"}";

/// One check's verdict.
pub(crate) fn check(check: &Check<'_>) {
    println!("{check}");
}

/// The library's statistics at the end of a scenario.
pub(crate) fn totals(totals: &Totals) {
    println!("{totals}");
}

/// Reports a sequence that was played: its seed, its result, and its log.
pub(crate) fn played(seed: u64, played: &Played, log: &dyn Display) {
    let Played { steps, dispatches, claims, absorbed, deferred, unknown, .. } = *played;
    println!(
        "@latchwork \
         {{\"event\":\"played\",\"seed\":{seed},\"steps\":{steps},\"dispatches\":{dispatches},\"claims\":{claims},\
         \"absorbed\":{absorbed},\"deferred\":{deferred},\"unknown\":{unknown},\"log\":{}}}",
        Text(log)
    );
}

/// Asks the host to press the machine's NMI button `press` times and then to answer on the console.
pub(crate) fn ask(press: u64) {
    println!("@latchwork {{\"event\":\"ask\",\"press\":{press}}}");
}

/// The same, and to add one to the byte at the physical address `condition` before each press.
pub(crate) fn ask_with_condition(press: u64, condition: u64) {
    println!("@latchwork {{\"event\":\"ask\",\"press\":{press},\"condition\":{condition}}}");
}

/// The scenario is over.
pub(crate) fn end() {
    println!("{END}");
}

/// Reports a check that ends the scenario where it is: its verdict, the totals and the end. Part of
/// the last words: any context.
pub(crate) fn ended_by(out: &mut dyn Write, check: &Check<'_>, totals: &Totals) {
    let _ = writeln!(out, "{check}\n{totals}\n{END}");
}

/// The kernel stops on purpose. Part of the last words: any context.
pub(crate) fn stopped(out: &mut dyn Write, reason: fmt::Arguments<'_>) {
    let _ = writeln!(out, "@latchwork {{\"event\":\"stopped\",\"reason\":{}}}", Text(reason));
}

/// The exit status, where the emulator cannot pass it on. Part of the last words: any context.
pub(crate) fn exit(out: &mut dyn Write, status: u32) {
    let _ = writeln!(out, "@latchwork {{\"event\":\"exit\",\"status\":{status}}}");
}
