// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a sequence is made of.

use proptest::{prelude::*, strategy::Union};

use crate::{Request, Urgency};

pub(super) const CPUS: usize = 3;

/// The sources that a sequence knows; see [`SPECS`](super::machine::SPECS).
pub(super) const SOURCES: usize = 6;

/// The items of deferred work that it knows.
pub(super) const ITEMS: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The next step is interrupted before the access that so many others precede: the `steps`
    /// after it happen there, on any CPU. On the interrupted CPU only what an NMI may do happens.
    Amid {
        accesses: usize,
        steps: usize,
    },
    /// A condition is set, and its ring is under way to `cpu`.
    Raise {
        source: usize,
        cpu: usize,
    },
    /// A ring that is under way arrives. If its CPU is in an NMI, it nests, or it is latched.
    Deliver {
        pick: usize,
        nests: bool,
    },
    /// An NMI that nothing explains.
    Spurious {
        cpu: usize,
        nests: bool,
    },
    Send {
        from: usize,
        to: usize,
        request: Request,
    },
    /// The next ring that the library makes fails.
    FailRing,
    Wait {
        us: u64,
    },
    Tick {
        cpu: usize,
    },
    /// The interrupt for work, if it is pending.
    Interrupt {
        cpu: usize,
    },
    Idle {
        cpu: usize,
    },
    StopTick {
        cpu: usize,
    },
    GoOffline {
        cpu: usize,
    },
    ComeOnline {
        cpu: usize,
    },
    /// A CPU that executes nothing is marked by another.
    Mark {
        cpu: usize,
        by: usize,
    },
    Register {
        source: usize,
    },
    Remove {
        source: usize,
        tries: bool,
    },
    ClaimOutside {
        source: usize,
        cpu: usize,
    },
    Queue {
        from: usize,
        to: usize,
        item: usize,
        urgency: Urgency,
    },
    /// Each item queues itself once more and calls `run_work`, in its next run.
    Requeue {
        item: usize,
    },
    Route {
        source: usize,
        route: usize,
    },
    Limits {
        which: usize,
    },
    /// Every clock shows `ticks` from now on.
    ResetClocks {
        ticks: u64,
    },
    /// The next claim of the source leaves the condition set.
    More {
        source: usize,
    },
    Recovery {
        by_nmi: bool,
    },
}

/// Which steps there may be, so that a search is not stopped by what it knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Steps happen amid others.
    pub(super) amid: bool,
    /// CPUs come and go.
    pub(super) lifecycle: bool,
    /// At first only CPU 0 is there.
    pub(super) starts: bool,
    /// Items requeue themselves.
    pub(super) requeue: bool,
    pub(super) clocks: bool,
    pub(super) limits: bool,
    pub(super) routes: bool,
    pub(super) sends: bool,
    pub(super) long_waits: bool,
    pub(super) removals: bool,
    pub(super) outside: bool,
    /// Platform doorbells ring some CPUs only.
    pub(super) elsewhere: bool,
    /// Handlers want more.
    pub(super) more: bool,
}

impl Scope {
    /// Everything, or what `words` name.
    pub(super) fn of(words: Option<&str>) -> Self {
        let is = |word| words.is_none_or(|words| words.split(',').any(|it| it == word));
        Self {
            amid: is("amid"),
            lifecycle: is("lifecycle"),
            starts: is("starts"),
            requeue: is("requeue"),
            clocks: is("clocks"),
            limits: is("limits"),
            routes: is("routes"),
            sends: is("sends"),
            long_waits: is("long"),
            removals: is("removals"),
            outside: is("outside"),
            elsewhere: is("elsewhere"),
            more: is("more"),
        }
    }
}

fn request() -> impl Strategy<Value = Request> + Clone {
    prop::sample::select(&[
        Request::Stop,
        Request::Backtrace,
        Request::Call,
        Request::Probe,
        Request::Selftest,
    ])
}

/// A step within `scope`.
pub(super) fn step(scope: Scope) -> impl Strategy<Value = Step> + Clone {
    let (cpu, source, item) = (0..CPUS, 0..SOURCES, 0..ITEMS);
    let short = prop::sample::select(&[20_u64, 100, 300, 1_000, 3_000]);
    let long = prop::sample::select(&[300_u64, 1_000, 6_000, 15_000, 1_000_000]);
    let is = |it: bool, weight: u32| if it { weight } else { 0 };
    // None is half the range from another, where nobody can tell which comes first.
    const CLOCKS: &[u64] = &[1_000, 1 << 40, (1 << 63) + (1 << 41), u64::MAX - 1_000_000];
    let clocks = prop::sample::select(CLOCKS);
    let urgency = prop::sample::select(&[Urgency::Now, Urgency::Lazy]);
    let weighted = [
        (
            12,
            (source.clone(), cpu.clone())
                .prop_map(|(source, cpu)| Step::Raise { source, cpu })
                .boxed(),
        ),
        (
            12,
            (0..8_usize, any::<bool>())
                .prop_map(|(pick, nests)| Step::Deliver { pick, nests })
                .boxed(),
        ),
        (
            4,
            (cpu.clone(), any::<bool>())
                .prop_map(|(cpu, nests)| Step::Spurious { cpu, nests })
                .boxed(),
        ),
        (8, short.prop_map(|us| Step::Wait { us }).boxed()),
        (8, cpu.clone().prop_map(|cpu| Step::Tick { cpu }).boxed()),
        (3, cpu.clone().prop_map(|cpu| Step::Interrupt { cpu }).boxed()),
        (2, cpu.clone().prop_map(|cpu| Step::Idle { cpu }).boxed()),
        (2, cpu.clone().prop_map(|cpu| Step::StopTick { cpu }).boxed()),
        (
            is(scope.removals, 2),
            source.clone().prop_map(|source| Step::Register { source }).boxed(),
        ),
        (
            is(scope.removals, 2),
            (source.clone(), any::<bool>())
                .prop_map(|(source, tries)| Step::Remove { source, tries })
                .boxed(),
        ),
        (
            is(scope.outside, 3),
            (source.clone(), cpu.clone())
                .prop_map(|(source, cpu)| Step::ClaimOutside { source, cpu })
                .boxed(),
        ),
        (
            2,
            (cpu.clone(), cpu.clone(), item.clone(), urgency)
                .prop_map(|(from, to, item, urgency)| Step::Queue { from, to, item, urgency })
                .boxed(),
        ),
        (is(scope.more, 1), source.clone().prop_map(|source| Step::More { source }).boxed()),
        (1, any::<bool>().prop_map(|by_nmi| Step::Recovery { by_nmi }).boxed()),
        (
            is(scope.amid, 16),
            (0..60_usize, 1..4_usize)
                .prop_map(|(accesses, steps)| Step::Amid { accesses, steps })
                .boxed(),
        ),
        (is(scope.long_waits, 4), long.prop_map(|us| Step::Wait { us }).boxed()),
        (
            is(scope.sends, 10),
            (cpu.clone(), cpu.clone(), request())
                .prop_map(|(from, to, request)| Step::Send { from, to, request })
                .boxed(),
        ),
        (is(scope.sends, 1), Just(Step::FailRing).boxed()),
        (is(scope.lifecycle, 3), cpu.clone().prop_map(|cpu| Step::GoOffline { cpu }).boxed()),
        (is(scope.lifecycle, 4), cpu.clone().prop_map(|cpu| Step::ComeOnline { cpu }).boxed()),
        (
            is(scope.lifecycle, 1),
            (cpu.clone(), cpu.clone()).prop_map(|(cpu, by)| Step::Mark { cpu, by }).boxed(),
        ),
        (is(scope.requeue, 1), item.prop_map(|item| Step::Requeue { item }).boxed()),
        (
            is(scope.routes, 2),
            (source, 0..4_usize).prop_map(|(source, route)| Step::Route { source, route }).boxed(),
        ),
        (is(scope.clocks, 1), clocks.prop_map(|ticks| Step::ResetClocks { ticks }).boxed()),
        (is(scope.limits, 1), (0..3_usize).prop_map(|which| Step::Limits { which }).boxed()),
    ];
    Union::new_weighted(weighted.into_iter().filter(|(weight, _)| *weight != 0).collect())
}
