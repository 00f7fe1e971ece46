// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stories.

use super::{
    Demo,
    cue::{Cue, Does, Stage, When},
    instead::Instead,
};
use crate::{
    engine::Property,
    machine::{Bell, Condition, Happening, Hardware, Route, Timing, pmu::bit, port61},
    policy::{Action, Ask, Plan, Recovery},
    scenario::{ONE_CPU, Scenario, Step, TWO_CPUS, overflow},
};

/// All of them, in the order in which they are best read.
pub static DEMOS: &[Demo] = &[LOST_NMI, FALSE_UNKNOWN, SWALLOWED_UNKNOWN, SHARED_PMI, STOP_DROP];

const fn cue(does: Does, when: When) -> Cue {
    Cue { does, when }
}

const PMI_0: Does = Does::Happens(overflow(0));
const PMI_1: Does = Does::Happens(overflow(1));
const TOPA: Happening = Happening::Overflow { cpu: 0, bit: bit::TOPA };
const SERR: u8 = port61::bit::SERR;
const WITH_PORT_61: Hardware = Hardware { port61: Some(Route::Bsp), ..ONE_CPU };
const PMU_AND_PORT_61: Plan = Plan { attended: &[Bell::Lvt, Bell::Port61], on_pmi: None };

const LOST_NMI: Demo = Demo {
    name: "lost-nmi",
    summary: "an NMI that collapses into a PMI is lost",
    story: "linux-kernel, May 2014, Don Zickus on his series \"x86, nmi: Implement delayed \
            irq_work mechanism to handle lost NMIs\": \"two NMIs might show up with the second one \
            being dropped because they are latched waiting for the first NMI to finish\". The \
            series was not merged. Port 0x61 is slow to read and PMIs are frequent, so Linux reads \
            it only if no local handler has claimed; but its line rings once, and then stays up.",
    baseline: ("linux", "Linux"),
    names_handlers: false,
    hidden: &["asks PMI"],
    recovery: Recovery::Poll,
    sends: ["send", "send"],
    scenario: &Scenario {
        hardware: WITH_PORT_61,
        plan: PMU_AND_PORT_61,
        happenings: &[(overflow(0), 2), (Happening::AssertPort61(SERR), 1)],
        ..Scenario::STILL
    },
    cues: &[
        cue(PMI_0, When::AtRest { from_us: 0 }),
        cue(
            Does::Happens(Happening::AssertPort61(SERR)),
            When::InNmi { cpu: 0, nth: 1, from: Stage::Taken },
        ),
        cue(Does::Lands(0, Bell::Port61), When::AtOnce),
        cue(PMI_0, When::InNmi { cpu: 0, nth: 1, from: Stage::Acknowledged(Bell::Lvt) }),
    ],
    breaks: Property::L,
    instead: Instead::Recovers(Condition::Port61(SERR)),
};

const FALSE_UNKNOWN: Demo = Demo {
    name: "false-unknown",
    summary: "the NMI that looks for lost NMIs is itself reported as unknown",
    story: "linux-kernel, May 2014, Don Zickus on his series \"x86, nmi: Implement delayed \
            irq_work mechanism to handle lost NMIs\": after each claim, a dummy NMI follows at the \
            next tick to look for lost ones, and a flag says that it is expected. A PMI at about \
            the same time clears the flag before the dummy is there: \"This leads to a periodic \
            unknown NMI. Ooops.\" He spares the flag while the work item is busy, which does not \
            help a dummy that was sent and has not arrived.",
    baseline: ("linux-2014-intended", "Linux with the series of 2014, as its comment means it"),
    names_handlers: false,
    hidden: &["asks PMI", "asks nobody external"],
    recovery: Recovery::Probe,
    sends: ["dummy", "probe"],
    scenario: &Scenario {
        hardware: WITH_PORT_61,
        plan: PMU_AND_PORT_61,
        happenings: &[(overflow(0), 2)],
        timing: Timing { quiet_us: 1_700, horizon_us: 3_700, ..Timing::SHORT },
        ..Scenario::STILL
    },
    cues: &[
        cue(PMI_0, When::AtRest { from_us: 500 }),
        cue(PMI_0, When::UnderWay { cpu: 0, bell: Bell::Software }),
    ],
    breaks: Property::N1,
    instead: Instead::Absorbs,
};

const SWALLOWED_UNKNOWN: Demo = Demo {
    name: "swallowed-unknown",
    summary: "a flag that was not used up hides a true unknown NMI",
    story: "linux-kernel, May 2014, Don Zickus on his series \"x86, nmi: Implement delayed \
            irq_work mechanism to handle lost NMIs\": a dummy NMI that finds something does not \
            use up the flag that expects it. The next dummy would, but \"are there any guarantees \
            that the new 'dummy' NMI is sent to the same cpu? If not, then the flag is never \
            cleared. Which means a later 'real' unknown NMI would get swallowed accidentally.\" \
            The work item is one for the whole machine; here another CPU has it.",
    baseline: ("linux-2014-posted", "Linux with the series of 2014, as it was posted"),
    names_handlers: false,
    hidden: &["asks PMI", "asks nobody external"],
    recovery: Recovery::Probe,
    sends: ["dummy", "probe"],
    scenario: &Scenario {
        hardware: Hardware { port61: Some(Route::Bsp), ..TWO_CPUS },
        plan: PMU_AND_PORT_61,
        happenings: &[(overflow(0), 2), (overflow(1), 1), (Happening::Press, 1)],
        timing: Timing { quiet_us: 3_000, horizon_us: 4_000, ..Timing::SHORT },
        ..Scenario::STILL
    },
    cues: &[
        cue(PMI_0, When::AtRest { from_us: 333 }),
        cue(PMI_1, When::UnderWay { cpu: 0, bell: Bell::Software }),
        cue(Does::Lands(0, Bell::Software), When::AtRest { from_us: 0 }),
        cue(PMI_0, When::AtOnce),
        cue(Does::Happens(Happening::Press), When::AtRest { from_us: 2_666 }),
    ],
    breaks: Property::N2,
    instead: Instead::ReportsOnce,
};

const SHARED_PMI: Demo = Demo {
    name: "shared-pmi",
    summary: "two sources share one PMI, and the first claim ends the search",
    story: "FreeBSD review D46421, 2024, its author on hwpmc(4) and Intel PT's driver behind one \
            performance-counter interrupt: \"it could be possible that a single PC interrupt gets \
            consumed by multiple handlers, at least in theory\". The list of handlers that landed \
            asked all; a later commit (194bb58b80c1) stops at the first claim. In Latchwork one \
            handler owns that entry and serves both sources.",
    baseline: ("freebsd-first-claim", "FreeBSD"),
    names_handlers: true,
    hidden: &["reads the pointer"],
    recovery: Recovery::Poll,
    sends: ["send", "send"],
    scenario: &Scenario { happenings: &[(overflow(0), 1), (TOPA, 1)], ..Scenario::STILL },
    cues: &[
        cue(Does::Happens(TOPA), When::AtRest { from_us: 0 }),
        cue(PMI_0, When::InNmi { cpu: 0, nth: 1, from: Stage::Taken }),
    ],
    breaks: Property::C,
    instead: Instead::ClaimsTogether(&[
        Condition::Counter { cpu: 0, bit: bit::COUNTER_0 },
        Condition::Counter { cpu: 0, bit: bit::TOPA },
    ]),
};

const STOP_DROP: Demo = Demo {
    name: "stop-drop",
    summary: "a stop and a PMI are claimed in one NMI, and the second edge drops into the \
              debugger",
    story: "FreeBSD review D46421, 2024, its author: \"If I dynamically registers the \
            ipi_nmi_handler, I get dropped into ddb [...] everything works fine if ipi_nmi_handler \
            is invoked before the dynamic handlers. I'm not sure what's causing this issue.\" \
            Nobody says why, and that state of the patch is not public. Each of three causes is \
            enough; this is the one that stays when the others are put right: two handlers claim \
            in one NMI. (`cargo xtask explore` has the others, freebsd-stop-inverted and \
            freebsd-late-topa.)",
    baseline: ("freebsd-stop-double", "FreeBSD with the stop handler in its list"),
    names_handlers: true,
    hidden: &["reads the pointer"],
    recovery: Recovery::Poll,
    sends: ["stop", "stop"],
    scenario: &Scenario {
        hardware: TWO_CPUS,
        scripts: &[&[], &[Step::Do(Action::Send { to: 0, ask: Ask::Stop })]],
        happenings: &[(overflow(0), 1)],
        ..Scenario::STILL
    },
    cues: &[cue(PMI_0, When::InNmi { cpu: 0, nth: 1, from: Stage::Taken })],
    breaks: Property::N1,
    instead: Instead::Absorbs,
};
