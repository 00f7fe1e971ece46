// SPDX-License-Identifier: MIT OR Apache-2.0
//! An item of deferred work that notes its runs.

use std::{boxed::Box, sync::Mutex, sync::OnceLock, vec::Vec};

use super::world::Leaked;
use crate::{Work, primitive::SharedCell};

type Function = Box<dyn Fn(usize) + Send + Sync>;

/// A leaked item, freed with this owner. Two runs at once are a data race for loom.
pub(super) struct Item {
    pub(super) work: Leaked<Work>,
    runs: Leaked<Runs>,
    _function: Leaked<Function>,
}

struct Runs {
    last_on: SharedCell<Option<usize>>,
    on: Mutex<Vec<usize>>,
    during: OnceLock<Function>,
}

// SAFETY: `last_on` is accessed by the one run at a time, and by who has waited; showing that is
// the test.
unsafe impl Sync for Runs {}
// SAFETY: as above.
unsafe impl Send for Runs {}

impl Item {
    pub(super) fn new() -> Self {
        let runs = Leaked::new(Runs {
            last_on: SharedCell::new(None),
            on: Mutex::new(Vec::new()),
            during: OnceLock::new(),
        });
        let noted: &'static Runs = runs.0;
        let function: Function = Box::new(move |cpu| noted.run(cpu));
        let function = Leaked::new(function);
        Self { work: Leaked::new(Work::new(function.0)), runs, _function: function }
    }

    /// An item that also does `during` in each run.
    pub(super) fn doing(during: impl Fn(&'static Work, usize) + Send + Sync + 'static) -> Self {
        let item = Self::new();
        let work = item.work.0;
        let set = item.runs.0.during.set(Box::new(move |cpu| during(work, cpu)));
        assert!(set.is_ok());
        item
    }

    /// The CPUs that it ran on, in order.
    pub(super) fn ran_on(&self) -> Vec<usize> {
        self.runs.0.on.lock().unwrap().clone()
    }

    pub(super) fn runs(&self) -> usize {
        self.ran_on().len()
    }

    /// What the memory's next owner would do.
    #[cfg(loom)]
    pub(super) fn poison(&self) {
        self.runs.0.last_on.with_mut(|last_on| {
            // SAFETY: the caller holds that nothing runs any more; if not so, the test fails.
            unsafe { *last_on = None };
        });
    }
}

impl Runs {
    fn run(&self, cpu: usize) {
        self.last_on.with_mut(|last_on| {
            // SAFETY: nobody else runs it; if not so, the test fails.
            unsafe { *last_on = Some(cpu) };
        });
        if let Some(during) = self.during.get() {
            during(cpu);
        }
        self.last_on.with_mut(|last_on| {
            // SAFETY: as above.
            assert_eq!(unsafe { *last_on }, Some(cpu), "another run came between");
        });
        self.on.lock().unwrap().push(cpu);
    }
}
