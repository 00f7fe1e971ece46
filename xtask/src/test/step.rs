// SPDX-License-Identifier: MIT OR Apache-2.0
//! A step, and what it has to wait for.

use std::fmt;

use super::log::Log;
use super::outcome::Outcome;

/// The kind of a step. The list has this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Group {
    /// Steps that others need: the kernel, emulators.
    Preparations,
    /// Commands of cargo.
    Checks,
    /// Known mistakes.
    Mutants,
    /// The oldest supported compiler, and targets.
    Toolchains,
    /// Boots of the kernel.
    Boots,
}

/// A resource that only some steps may use at a time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Resource {
    /// A folder of build products: one build at a time, since cargo locks it.
    Builds(&'static str),
    /// A copy of the source that is mutated.
    Copies,
}

/// What a step keeps busy, by which it finds its lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Load {
    /// A processor.
    Processor,
    /// Hardly anything: most of the time it waits for a guest's clock.
    Clock,
    /// The network, one download at a time. A step that uses it keeps no processor busy.
    Network,
}

/// The work of a step.
pub(super) type Work = Box<dyn FnOnce(&Log) -> Outcome + Send>;

/// One step.
pub(super) struct Step {
    /// Its name, which also chooses it on the command line.
    pub(super) name: String,
    pub(super) group: Group,
    pub(super) load: Load,
    /// What it uses while it runs.
    pub(super) uses: Option<Resource>,
    /// The steps that must have passed before.
    pub(super) needs: Vec<String>,
    /// How long it takes on an idle machine, roughly, where no earlier run is on record.
    pub(super) guess_s: f64,
    pub(super) work: Work,
}

impl Step {
    pub(super) fn new(
        name: impl Into<String>,
        group: Group,
        work: impl FnOnce(&Log) -> Outcome + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            group,
            load: Load::Processor,
            uses: None,
            needs: Vec::new(),
            guess_s: 1.0,
            work: Box::new(work),
        }
    }

    pub(super) const fn loading(mut self, load: Load) -> Self {
        self.load = load;
        self
    }

    pub(super) fn using(mut self, resource: Resource) -> Self {
        self.uses = Some(resource);
        self
    }

    pub(super) fn after(mut self, step: impl Into<String>) -> Self {
        self.needs.push(step.into());
        self
    }

    pub(super) const fn about(mut self, seconds: f64) -> Self {
        self.guess_s = seconds;
        self
    }
}

impl Group {
    pub(super) const ALL: [Self; 5] =
        [Self::Preparations, Self::Checks, Self::Mutants, Self::Toolchains, Self::Boots];

    /// Its name, which also chooses all its steps on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Preparations => "preparations",
            Self::Checks => "checks",
            Self::Mutants => "mutants",
            Self::Toolchains => "toolchains",
            Self::Boots => "boots",
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &self.name).finish_non_exhaustive()
    }
}
