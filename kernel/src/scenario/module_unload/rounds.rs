// SPDX-License-Identifier: MIT OR Apache-2.0
//! The main part: load, register, remove, unload, under the storm.

use core::sync::atomic::Ordering;

use latchwork::{Class, Registration};

use super::loader::{self, Loaded};
use super::module::MEETING_TURNS;
use crate::scenario::storm::{self, Storm};
use crate::scenario::{Run, removals};
use crate::waiting::awaited;
use crate::{nmi, patience};

/// One removal in this many begins while the module's code runs: calls elsewhere wait in it for the
/// removal to begin, and CPU 0 waits for such a call.
const MEETING_EVERY: u64 = 4;

/// Between the remover and the closer.
const PRIORITY: u8 = 100;

/// The mistakes that a fault asks CPU 0 for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mistakes {
    unmap_early: bool,
    unmap_code_early: bool,
    no_wait: bool,
}

impl Mistakes {
    pub(super) fn of(run: &Run) -> Self {
        Self {
            unmap_early: run.has_fault("unmap-early"),
            unmap_code_early: run.has_fault("unmap-code-early"),
            no_wait: run.has_fault("no-wait"),
        }
    }
}

/// Registers a module's handler. The code that unloads the module removes the handler before.
pub(super) fn register(name: &str, loaded: &Loaded) -> Registration {
    // SAFETY: the registry uses the handler until its removal is over, and the module is unloaded
    // after that; where a fault of the scenario has it otherwise, a page fault is what it is after.
    let handler = unsafe { loaded.handler() };
    nmi::register(name, Class::Local, PRIORITY, handler)
}

/// One module from its loading to its unloading. CPU 0.
pub(super) fn play(round: u64, storm: Storm, cpus: usize, mistakes: Mistakes) {
    let loaded = loader::load();
    let meeting = round % MEETING_EVERY == 0 && storm == Storm::Others;
    if meeting {
        loaded.data().patience.store(MEETING_TURNS, Ordering::Relaxed);
    }
    let registration = register("module", &loaded);
    storm.let_nmis_come(cpus);
    if meeting {
        let is_inside = || loaded.data().calls_inside() != 0;
        let call = awaited!("a call of the module");
        patience::spin_until(call, is_inside, MEETING_TURNS as u32);
    }
    if mistakes.unmap_early || mistakes.unmap_code_early {
        loaded.unmap_code();
        if mistakes.unmap_early {
            loaded.unmap();
        }
        storm.let_nmis_come(cpus);
    }
    removals::begin();
    if mistakes.no_wait {
        let _ = registration.try_remove();
    } else {
        nmi::remove(registration);
    }
    removals::end();
    loaded.unload(cpus);
    storm::pause(1 + (round % 5) as u32);
    if storm == Storm::Own {
        storm.let_nmis_come(cpus);
    }
}
