// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU: its one-deep latch, what blocks its NMIs, its maskable interrupts, its tick, and
//! whether it executes anything.
//!
//! Source: SDM Vol. 3A, 6.7 "Nonmaskable Interrupt" (blocked until the next IRET, one is
//! remembered); Vol. 3C, 34.8 "NMI Handling While in SMM" (an NMI is latched in SMM, and RSM may
//! leave NMIs unblocked).

use super::{Edge, Pmu, lapic::Icr};

/// The vector of the tick.
pub const TICK_VECTOR: u8 = 0x20;
/// The vector of the interrupt for deferred work.
pub const WORK_VECTOR: u8 = 0x21;

/// How many numbers a CPU has for its NMIs. They repeat, so that states that differ only in what
/// happened long ago become equal.
const NMI_NUMBERS: u8 = 64;

/// What a CPU does, apart from interruptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// It executes instructions.
    Running,
    /// It is halted until an interruption comes.
    Halted,
    /// It is halted until that time, and interruptions do not end that.
    Waiting {
        /// In microseconds.
        until_us: u64,
    },
    /// It executes a section with interrupts off that ends at that time, and takes NMIs.
    Busy {
        /// In microseconds.
        until_us: u64,
    },
    /// It is parked inside an NMI, until that time.
    Parked {
        /// In microseconds.
        until_us: u64,
    },
    /// It was stopped by force, or its kernel has no more use for it.
    Dead,
}

/// One CPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cpu {
    /// The NMI that is remembered.
    pub latch: Edge,
    /// NMIs are blocked: the CPU has taken one, and has executed no IRET since.
    pub nmis_blocked: bool,
    /// In how many NMI handlers it is.
    pub nmi_depth: u8,
    /// How many NMIs it has taken, modulo 64.
    pub nmis_taken: u8,
    /// What it does.
    pub doing: Doing,
    /// RFLAGS.IF.
    pub interrupts_on: bool,
    /// The tick's interrupt is pending.
    pub tick_pending: bool,
    /// The interrupt for work is pending.
    pub work_pending: bool,
    /// When the next tick is due, if the tick runs, in microseconds.
    pub next_tick_us: Option<u64>,
    /// Software has stopped the tick.
    pub tick_stopped: bool,
    /// If it is in SMM, the time at which SMM ends at the latest, in microseconds.
    pub smm_until_us: Option<u64>,
    /// The SMI handler executes IRET, so RSM leaves NMIs unblocked.
    pub rsm_unblocks: bool,
    /// If it is a virtual CPU that does not run, the time at which it runs again at the latest, in
    /// microseconds.
    pub stalled_until_us: Option<u64>,
    /// It takes no part in what its kernel does.
    pub offline: bool,
    /// It has executed nothing so far.
    pub is_absent: bool,
    /// So many of the next rings that its kernel makes are not sent.
    pub rings_to_fail: u8,
    /// Its kernel leaves out the next call that it need not make.
    pub forgets: bool,
    /// What is added to the world's clock, wrapping.
    pub clock_offset_us: u64,
    /// The interrupt command register.
    pub icr: Icr,
    /// The counters.
    pub pmu: Pmu,
}

impl Cpu {
    /// A CPU that has just been started.
    pub fn new(first_tick_us: u64, clock_offset_us: u64) -> Self {
        Self {
            latch: Edge::NONE,
            nmis_blocked: false,
            nmi_depth: 0,
            nmis_taken: 0,
            doing: Doing::Running,
            interrupts_on: true,
            tick_pending: false,
            work_pending: false,
            next_tick_us: Some(first_tick_us),
            tick_stopped: false,
            smm_until_us: None,
            rsm_unblocks: false,
            stalled_until_us: None,
            offline: false,
            is_absent: false,
            rings_to_fail: 0,
            forgets: false,
            clock_offset_us,
            icr: Icr::default(),
            pmu: Pmu::default(),
        }
    }

    /// A CPU that waits to be started.
    pub fn absent(clock_offset_us: u64) -> Self {
        Self {
            doing: Doing::Dead,
            next_tick_us: None,
            is_absent: true,
            ..Self::new(0, clock_offset_us)
        }
    }

    /// It is started.
    pub fn start(&mut self, first_tick_us: u64) {
        *self = Self { icr: self.icr, ..Self::new(first_tick_us, self.clock_offset_us) };
    }

    /// It executes nothing any more.
    pub fn hang(&mut self) {
        (self.doing, self.latch, self.next_tick_us) = (Doing::Dead, Edge::NONE, None);
    }

    /// It was started and executes nothing any more.
    pub fn hangs(&self) -> bool {
        self.doing == Doing::Dead && !self.is_absent
    }

    /// Whether it executes nothing, whatever comes.
    pub fn is_stopped(&self) -> bool {
        self.smm_until_us.is_some() || self.stalled_until_us.is_some() || self.doing == Doing::Dead
    }

    /// Whether it is in an NMI in which it neither runs nor waits: firmware or a hypervisor keeps
    /// it.
    pub fn is_kept_in_nmi(&self) -> bool {
        self.nmi_depth != 0 && self.doing == Doing::Running
    }

    /// Whether it takes its latched NMI at the next instruction boundary.
    pub fn takes_nmi(&self) -> bool {
        !self.latch.is_none() && !self.nmis_blocked && !self.is_stopped()
    }

    /// The maskable interrupt that it takes at the next instruction boundary: of several, that with
    /// the highest vector.
    pub fn takes_irq(&self) -> Option<u8> {
        if !self.interrupts_on || self.nmi_depth != 0 || self.is_stopped() {
            None
        } else if self.work_pending {
            Some(WORK_VECTOR)
        } else if self.tick_pending {
            Some(TICK_VECTOR)
        } else {
            None
        }
    }

    /// Whether it executes instructions, or is about to be interrupted.
    pub fn can_run(&self) -> bool {
        if self.is_stopped() {
            return false;
        }
        self.doing == Doing::Running || self.takes_nmi() || self.takes_irq().is_some()
    }

    /// Whether it waits with NMIs open, so that it would take an NMI at once.
    pub fn is_open(&self) -> bool {
        !self.can_run() && !self.is_stopped() && !self.nmis_blocked
    }

    /// Takes the latched NMI. Returns its number and what rang.
    pub fn take_nmi(&mut self) -> (usize, Edge) {
        self.nmis_taken = (self.nmis_taken + 1) % NMI_NUMBERS;
        self.nmis_blocked = true;
        self.nmi_depth += 1;
        (self.nmis_taken.into(), std::mem::take(&mut self.latch))
    }

    /// IRET from an NMI's handler.
    pub fn leave_nmi(&mut self) {
        self.nmi_depth -= 1;
        self.nmis_blocked = false;
    }

    /// Goes on with what an interruption interrupted. A halt ends.
    pub fn resume(&mut self, before: Doing, now_us: u64) {
        self.doing = match before {
            Doing::Halted => Doing::Running,
            Doing::Waiting { until_us } | Doing::Busy { until_us } | Doing::Parked { until_us }
                if until_us <= now_us =>
            {
                Doing::Running
            }
            _ => before,
        };
    }

    /// When it goes on by itself.
    pub fn next_due_us(&self) -> Option<u64> {
        let until_us = match self.doing {
            Doing::Waiting { until_us } | Doing::Busy { until_us } | Doing::Parked { until_us } => {
                Some(until_us)
            }
            Doing::Running | Doing::Halted | Doing::Dead => None,
        };
        let dues = [until_us, self.next_tick_us, self.stalled_until_us, self.smm_until_us];
        dues.into_iter().flatten().min()
    }

    /// RSM.
    pub fn leave_smm(&mut self) {
        self.smm_until_us = None;
        if std::mem::take(&mut self.rsm_unblocks) {
            self.nmis_blocked = false;
        }
    }

    /// Time has passed to `now_us`.
    pub fn pass(&mut self, now_us: u64, tick_period_us: u64, last_tick_us: u64) {
        if let Doing::Waiting { until_us } | Doing::Busy { until_us } | Doing::Parked { until_us } =
            self.doing
        {
            if until_us <= now_us {
                self.doing = Doing::Running;
            }
        }
        if self.stalled_until_us.is_some_and(|until_us| until_us <= now_us) {
            self.stalled_until_us = None;
        }
        if self.smm_until_us.is_some_and(|until_us| until_us <= now_us) {
            self.leave_smm();
        }
        while let Some(due_us) = self.next_tick_us.filter(|due_us| *due_us <= now_us) {
            self.tick_pending = true;
            let next_us = due_us + tick_period_us;
            self.next_tick_us = Some(next_us).filter(|next_us| *next_us <= last_tick_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bell;
    use super::*;

    fn idle() -> Cpu {
        Cpu { doing: Doing::Halted, ..Cpu::new(500, 0) }
    }

    #[test]
    fn a_blocked_nmi_waits_and_an_smi_holds_up_everything() {
        let mut cpu = idle();
        assert!(!cpu.can_run() && cpu.is_open());
        cpu.latch = Edge::of(&[Bell::Lvt]);
        assert!(cpu.takes_nmi() && cpu.can_run());
        cpu.smm_until_us = Some(9);
        assert!(!cpu.takes_nmi() && !cpu.can_run() && !cpu.is_open());
        cpu.leave_smm();
        cpu.nmis_blocked = true;
        assert!(!cpu.takes_nmi() && !cpu.can_run() && !cpu.is_open());
        (cpu.smm_until_us, cpu.rsm_unblocks) = (Some(9), true);
        cpu.leave_smm();
        assert!(cpu.takes_nmi(), "inside the handler of another");
    }

    #[test]
    fn interrupts_wait_for_the_flag_and_for_the_end_of_the_nmi() {
        let mut cpu = idle();
        cpu.pass(500, 1_000, 10_000);
        assert_eq!((cpu.takes_irq(), cpu.next_tick_us), (Some(TICK_VECTOR), Some(1_500)));
        cpu.work_pending = true;
        assert_eq!(cpu.takes_irq(), Some(WORK_VECTOR));
        cpu.nmi_depth = 1;
        assert_eq!(cpu.takes_irq(), None);
        cpu.nmi_depth = 0;
        cpu.interrupts_on = false;
        assert!(cpu.takes_irq().is_none() && !cpu.can_run());
    }

    #[test]
    fn what_lasts_until_then_ends_then() {
        let mut cpu = idle();
        cpu.doing = Doing::Busy { until_us: 700 };
        cpu.next_tick_us = None;
        assert_eq!(cpu.next_due_us(), Some(700));
        cpu.pass(699, 1_000, 10_000);
        assert!(!cpu.can_run());
        cpu.pass(700, 1_000, 10_000);
        assert_eq!(cpu.doing, Doing::Running);
    }

    #[test]
    fn no_tick_comes_after_the_last() {
        let mut cpu = idle();
        cpu.pass(3_500, 1_000, 3_500);
        assert!(cpu.tick_pending);
        assert_eq!(cpu.next_tick_us, None);
    }
}
