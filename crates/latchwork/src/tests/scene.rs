// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine with one Local and one Platform source.

use std::vec::Vec;

use super::{
    source::Source,
    world::{Leaked, World, become_cpu, take_nmi},
};
use crate::{Class, Doorbell, EdgeModel, HandlerSpec, Outcome, Registration};

pub(super) fn local() -> HandlerSpec<'static> {
    HandlerSpec::new("local", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition)
}

pub(super) fn platform() -> HandlerSpec<'static> {
    HandlerSpec::new("platform", Class::Platform, Doorbell::Platform(1), EdgeModel::PerCondition)
}

pub(super) struct Scene {
    pub(super) world: World,
    pub(super) pmi: Leaked<Source>,
    pub(super) external: Leaked<Source>,
    pub(super) kept: Vec<Registration>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        become_cpu(Some(0));
        let_go(&mut self.kept);
    }
}

/// Removes the handlers, unless the test has failed. It may have done so amid a dispatch, for which
/// a removal would wait for ever; and what the handlers need is leaked then.
pub(super) fn let_go(kept: &mut Vec<Registration>) {
    for registration in kept.drain(..) {
        if std::thread::panicking() {
            registration.into_handle();
        }
    }
}

/// A Local and a Platform source, nothing owed.
pub(super) fn scene() -> Scene {
    let world = World::new();
    let (pmi, external) = (Leaked::new(Source::new()), Leaked::new(Source::new()));
    let kept = std::vec![
        world.nmi.register(&local(), pmi.0).unwrap(),
        world.nmi.register(&platform(), external.0).unwrap(),
    ];
    world.wait_us(1_000);
    world.nmi.tick();
    assert!(world.nmi.core.recovery.hot.debt.owed().is_none());
    Scene { world, pmi, external, kept }
}

impl Scene {
    /// One edge for both conditions.
    pub(super) fn collapse(&self) {
        self.external.0.raise();
        self.pmi.0.raise();
        assert_eq!(take_nmi(self.world.nmi), Outcome::Claimed);
        assert!(self.external.0.is_raised(), "a Local claim spares the Platform handlers");
    }

    pub(super) fn tick_after_us(&self, us: usize) {
        self.world.wait_us(us);
        self.world.nmi.tick();
    }
}
