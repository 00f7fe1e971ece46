// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that two hostile readings of the core found, each as the kernel sees it: by the public
//! API and by what the platform is told, so that the tests outlive the core.
//!
//! The names of the tests begin with the number of the fault. These are mended, each by its test:
//!
//! * 1: `sharing::an_area_belongs_to_one_subsystem`
//! * 2: `hostile::more::a_platform_handler_that_wants_more_…_though_its_cpu_goes_offline`
//! * 12: `hostile::clock::what_is_absorbed_is_reported_after_a_suspend_that_resets_the_clock`
//! * 18: `hostile::clock::a_ring_elsewhere_is_explained_within_the_skew_that_is_allowed`
//! * 21: `refusals::a_send_cannot_hold_grants_for_longer_than_any_may_last`
//! * 22: `refusals::an_edge_model_that_grants_cannot_keep_to_is_refused`
//! * 22, routes: `refusals::a_route_of_another_class_is_refused`
//! * 23: `hostile::limits::the_largest_edge_model_is_kept_to`, `refusals::no_limit_is_zero`,
//!   `refusals::an_error_of_a_setting_says_what_to_do`
//! * 24: `hostile::more::a_local_handler_that_wants_more_is_asked_again_though_the_ring_failed`
//! * 24, where the tick stops: `hostile::more::a_cpu_that_could_not_ask_again_gets_its_tick_back`
//! * 25: `hostile::clock::a_removal_keeps_its_limit_when_the_clock_restarts`
//! * 26, where the tick stops: `unclaimed::a_cpu_does_not_sleep_over_a_storm`
//! * 30, two subsystems: `sharing::an_item_belongs_to_the_subsystem_that_queued_it_first`
//! * 31: `hostile::requests::sends_in_nmis_that_nest_as_deep_…_spill_into_no_other_kind`
//! * 33: `hostile::clock::a_step_back_in_an_nmi_is_no_long_dispatch`

mod false_unknown;
mod lifecycle;
mod lost;
mod never_said;
mod records;

use std::{boxed::Box, sync::Mutex, vec::Vec};

use super::{
    scene,
    source::{Source, time_passes},
    world::{CPUS, Leaked, TestPlatform, World, become_cpu, take_nmi, take_work_interrupt},
};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, Nmi, NmiContext, NmiHandler, Outcome, Platform,
    PlatformDelivery, Registration, primitive::Ordering,
};

type Deed = Box<dyn FnOnce() + Send>;

/// A handler without a condition: the first time that it is asked after [`next`](Self::next), it
/// does what it was given. So another CPU acts, or an NMI comes on top, amid a poll or a dispatch.
pub(super) struct Amid(Mutex<Option<Deed>>);

impl Amid {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn next(&self, deed: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(deed));
    }
}

// SAFETY: it blocks nowhere: a test plays its CPUs one after the other.
unsafe impl NmiHandler for Amid {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        let deed = self.0.lock().unwrap().take();
        if let Some(deed) = deed {
            deed();
        }
        Claim::None
    }
}

/// Asked after every other Platform handler.
fn asked_last() -> HandlerSpec<'static> {
    let doorbell = Doorbell::Platform(9);
    HandlerSpec::new("amid", Class::Platform, doorbell, EdgeModel::PerCondition).priority(255)
}

/// What `cpu` does meanwhile.
fn on<R>(nmi: &'static Nmi<TestPlatform>, cpu: usize, act: impl FnOnce() -> R) -> R {
    let before = nmi.platform.current_cpu();
    become_cpu(Some(cpu));
    let result = act();
    become_cpu(before);
    result
}

/// The machine as a kernel runs it: each CPU takes what is raised for it, and ticks each
/// millisecond, or once it was asked to if its tick is stopped.
struct Machine {
    nmi: &'static Nmi<TestPlatform>,
    ticks: [bool; CPUS],
    taken: [usize; CPUS],
    /// Executes nothing.
    stuck: Option<usize>,
}

impl Machine {
    fn new(nmi: &'static Nmi<TestPlatform>) -> Self {
        let taken = core::array::from_fn(|cpu| nmi.platform.rung[cpu].load(Ordering::Relaxed));
        Self { nmi, ticks: [true; CPUS], taken, stuck: None }
    }

    fn stop_tick(&mut self, cpu: usize) {
        self.ticks[cpu] = false;
        on(self.nmi, cpu, || self.nmi.tick_stopped());
    }

    /// Takes what is raised for `cpu`.
    fn take_raised(&mut self, cpu: usize) {
        let Self { nmi, ticks, taken, .. } = self;
        on(nmi, cpu, || {
            let wanted = nmi.platform.ticks_wanted.load(Ordering::Relaxed);
            take_work_interrupt(nmi);
            while taken[cpu] < nmi.platform.rung[cpu].load(Ordering::Relaxed) {
                taken[cpu] += 1;
                take_nmi(nmi);
                take_work_interrupt(nmi);
            }
            if wanted != nmi.platform.ticks_wanted.load(Ordering::Relaxed) {
                ticks[cpu] = true;
                nmi.tick_restarted();
            }
        });
    }

    fn run_ms(&mut self, ms: usize) {
        for _ in 0..ms {
            time_passes(self.nmi, 1_000);
            for cpu in 0..CPUS {
                if self.stuck == Some(cpu) {
                    continue;
                }
                self.take_raised(cpu);
                if self.ticks[cpu] && self.nmi.is_online(cpu) == Some(true) {
                    on(self.nmi, cpu, || self.nmi.tick());
                    self.take_raised(cpu);
                }
            }
        }
    }
}

/// A machine of `cpus` CPUs with an external source that rings as `delivery` says, asked first, and
/// what happens amid the poll that asked it.
struct Polled {
    kept: Vec<Registration>,
    external: Leaked<Source>,
    amid: Leaked<Amid>,
    world: World,
}

fn polled(cpus: usize, delivery: PlatformDelivery<'static>) -> Polled {
    let (external, amid) = (Leaked::new(Source::new()), Leaked::new(Amid::new()));
    let world = World::with_cpus(cpus);
    let nmi = world.nmi;
    let kept = [
        nmi.register(&scene::platform().priority(1).delivery(delivery), external.0).unwrap(),
        nmi.register(&asked_last(), amid.0).unwrap(),
    ];
    world.wait_us(20_000);
    for cpu in 0..cpus {
        on(nmi, cpu, || nmi.tick());
    }
    world.wait_us(20_000);
    Polled { kept: kept.into(), external, amid, world }
}

impl Polled {
    /// CPU 1 polls, having claimed what is there, and CPU 0 takes an edge amid that poll, which it
    /// has to defer.
    fn defer_an_edge(&self) {
        let nmi = self.world.nmi;
        self.amid.0.next(move || on(nmi, 0, || assert_eq!(take_nmi(nmi), Outcome::Deferred)));
        on(nmi, 1, || take_nmi(nmi));
    }

    /// The unknown edges that `cpu` has counted.
    fn unknowns(&self, cpu: usize) -> usize {
        self.world.nmi.cpu_stats(cpu).unwrap().unknown
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        become_cpu(Some(0));
        scene::let_go(&mut self.kept);
    }
}
