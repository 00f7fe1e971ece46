// SPDX-License-Identifier: MIT OR Apache-2.0
//! An NMI leaves every register as it was, and its handlers run on sane state, whatever the NMI
//! interrupted.
//!
//! The interrupted side ([`probe`]) has chosen values in all general and vector registers, MXCSR,
//! CR2, DR7 with a breakpoint armed, the flags with DF and AC set by turns, and a GS base that is
//! not the kernel's in three of four rounds. The handler checks the state that it runs on, then
//! clobbers what handlers may clobber, and writes where the breakpoint watches.

mod observer;
mod probe;

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use latchwork::Class;
use latchwork_x86::entry::NmiFrame;

use super::{Progress, Run, Tally, check};
use crate::apic::{self, NmiWords};
use crate::cpu::{self, area};
use crate::{nmi, smp};
use observer::OBSERVER;
use probe::{BLOCK, Block, NAMES, Ring};

/// Rounds on each CPU.
const ROUNDS: u64 = 1_000;

/// How long the interrupted side waits for its NMI.
const PATIENCE: u32 = 100_000;

const DF: u64 = 1 << 10;
const AC: u64 = 1 << 18;
/// The flags that the scenario compares: interrupts, direction, alignment, identification,
/// privilege, nested task. The routine's own waiting changes the arithmetic flags.
const COMPARED_FLAGS: u64 = 1 << 9 | DF | AC | 1 << 21 | 3 << 12 | 1 << 14;
/// Bit 1 is always set; interrupts are off.
const PLAIN_FLAGS: u64 = 1 << 1;

/// Breakpoint 0 armed, for writes of four bytes (SDM Vol. 3B, "Debug Control Register (DR7)").
const DR7_WATCH: u64 = 0x400 | 1 | 0b01 << 16 | 0b11 << 18;

/// All exceptions masked, as by default, and rounding towards zero, flush to zero, denormals are
/// zero: nothing like the default.
const ODD_MXCSR: u32 = 0x1f80 | 0b11 << 13 | 1 << 15 | 1 << 6;
const PLAIN_MXCSR: u32 = 0x1f80;

/// Which fault is made after dispatch; 0 for none.
static CLOBBER: AtomicU32 = AtomicU32::new(0);
const CLOBBER_GENERAL: u32 = 1;
const CLOBBER_CONTROL: u32 = 2;

/// Makes the faults. The kernel calls it for every NMI after its dispatch. NMI-safe.
pub(crate) fn after_dispatch(frame: &mut NmiFrame) {
    match CLOBBER.load(Ordering::Relaxed) {
        CLOBBER_GENERAL => frame.registers.rbx ^= 1,
        CLOBBER_CONTROL => frame.cr2 ^= 0x1000,
        _ => {}
    }
}

/// How many rounds found what changed.
struct Findings {
    taken: Tally,
    general: Tally,
    vectors: Tally,
    flags: Tally,
    control: Tally,
}

/// A value that differs between rounds and registers, and is unlikely to come about otherwise.
fn pattern(round: u64, place: u64) -> u64 {
    (round << 8 | place).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A GS base that is the kernel's, null, a user's, or another kernel address.
fn gs_of_round(round: u64, kernel_gs: u64) -> u64 {
    [kernel_gs, 0, 0x0000_7fff_dead_0000, 0xffff_8000_0000_1000][(round % 4) as usize]
}

fn fill(block: &mut Block, cpu: usize, round: u64, ring: bool) {
    for (place, value) in (0..).zip(&mut block.loaded) {
        *value = pattern(round, place);
    }
    for (place, value) in (16..).zip(&mut block.vectors_loaded) {
        *value = u128::from(pattern(round, place)) << 64 | u128::from(pattern(round, place + 16));
    }
    block.kernel_gs = area::address(cpu) as u64;
    block.gs_loaded = gs_of_round(round, block.kernel_gs);
    block.cr2_loaded = pattern(round, 64) >> 17;
    block.dr7_loaded = DR7_WATCH;
    block.flags_loaded = PLAIN_FLAGS | [0, DF, AC, DF | AC][(round / 4 % 4) as usize];
    block.mxcsr_loaded = ODD_MXCSR;
    block.kernel_mxcsr = PLAIN_MXCSR;
    block.taken = 0;
    block.patience = PATIENCE;
    block.ring = Ring::No;
    if ring {
        match apic::self_nmi_words() {
            NmiWords::XApic { page, high, low } => {
                block.ring = Ring::XApic;
                block.loaded[probe::R14] = page;
                block.loaded[probe::R13] = high;
                block.loaded[probe::RAX] = low;
            }
            NmiWords::X2Apic { msr, value } => {
                block.ring = Ring::X2Apic;
                block.loaded[probe::RCX] = msr;
                block.loaded[probe::RAX] = value & 0xffff_ffff;
                block.loaded[probe::RDX] = value >> 32;
            }
        }
    }
}

fn judge(block: &Block, findings: &Findings) {
    findings.taken.add(u64::from(block.taken));
    let general = block.loaded != block.found || block.rsp_before != block.rsp_after;
    findings.general.add(u64::from(general));
    if cfg!(target_feature = "sse2") {
        let vectors =
            block.vectors_loaded != block.vectors_found || block.mxcsr_loaded != block.mxcsr_found;
        findings.vectors.add(u64::from(vectors));
    }
    let flags = (block.flags_loaded ^ block.flags_found) & COMPARED_FLAGS;
    findings.flags.add(u64::from(flags != 0));
    let control = block.gs_loaded != block.gs_found
        || block.cr2_loaded != block.cr2_found
        || block.dr7_loaded != block.dr7_found;
    findings.control.add(u64::from(control));
}

/// Names the general registers that changed in the last round.
struct Changed<'a>(&'a Block);

impl fmt::Display for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.loaded.iter().zip(&self.0.found);
        for (name, _) in NAMES.iter().zip(values).filter(|(_, (loaded, found))| loaded != found) {
            write!(f, " {name}")?;
        }
        Ok(())
    }
}

/// One CPU's turn.
fn play(cpu: usize, rounds: u64, ring: bool, findings: &Findings) {
    observer::watch();
    for round in 0..rounds {
        // SAFETY: it is this CPU's turn, and nothing has rung yet.
        let block = unsafe { &mut *BLOCK.get() };
        fill(block, cpu, round, ring);
        let enabled = cpu::interrupts_off();
        // SAFETY: interrupts are off, the block is this CPU's for its turn, and `fill` chose
        // acceptable values.
        unsafe { probe::latchwork_kernel_entry_probe() };
        cpu::interrupts_restore(enabled);
        // SAFETY: it is this CPU's turn, and its NMI is over.
        judge(unsafe { &*BLOCK.get() }, findings);
    }
}

pub(super) fn run(run: &Run) {
    let clobber = match () {
        () if run.has_fault("clobber-frame") => CLOBBER_GENERAL,
        () if run.has_fault("clobber-control") => CLOBBER_CONTROL,
        () => 0,
    };
    CLOBBER.store(clobber, Ordering::Relaxed);
    let rounds = run.cycles(ROUNDS);
    let ring = !run.has_fault("no-nmi");
    let rounds = if ring { rounds } else { 1 };

    let registration = nmi::register("observer", Class::Local, 1, &OBSERVER);
    let findings = Findings {
        taken: Tally::new(),
        general: Tally::new(),
        vectors: Tally::new(),
        flags: Tally::new(),
        control: Tally::new(),
    };
    let progress = Progress::new(run.cpus as u64);
    for turn in 0..run.cpus {
        smp::on_all_cpus(&|cpu| {
            if cpu == turn {
                play(cpu, rounds, ring, &findings);
            }
        });
        progress.at(turn as u64 + 1);
    }
    CLOBBER.store(0, Ordering::Relaxed);
    run.settle();
    report(run, rounds, &findings);
    nmi::remove(registration);
}

fn report(run: &Run, rounds: u64, findings: &Findings) {
    let nmis = run.cpus as u64 * rounds;
    let taken = findings.taken.get();
    let stats = run.stats();
    check(
        "nmis-taken",
        taken == nmis && stats.claimed as u64 == nmis && stats.unknown == 0 && nmis >= ROUNDS,
        format_args!("{nmis} NMIs taken and claimed, {ROUNDS} or more on each CPU"),
        format_args!("{taken} taken, {} claimed, {} unknown", stats.claimed, stats.unknown),
    );
    // SAFETY: no CPU has a turn any more.
    let last = unsafe { &*BLOCK.get() };
    let changed = |name: &str, tally: &Tally, what: &str| {
        check(
            name,
            tally.get() == 0 && taken != 0,
            format_args!("{what} as before in each of {nmis} rounds"),
            format_args!(
                "changed in {} rounds of {taken} with an NMI{}",
                tally.get(),
                Changed(last)
            ),
        );
    };
    changed("general-registers", &findings.general, "general registers");
    if cfg!(target_feature = "sse2") {
        changed("vector-registers", &findings.vectors, "XMM0 to XMM15 and MXCSR");
    }
    changed("flags", &findings.flags, "DF, AC, IF, ID, IOPL and NT");
    changed("control-state", &findings.control, "GS base, CR2 and DR7");
    observer::report(taken);
    run.totals(nmis.saturating_sub(stats.claimed as u64));
}
