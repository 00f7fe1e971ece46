// SPDX-License-Identifier: MIT OR Apache-2.0
//! A story that was played, for a terminal and as a picture.

use std::fmt;

use super::{
    Demo,
    lines::Line,
    places::Run,
    svg::{self, Panel},
    text,
    words::{self, Words},
};
use crate::{event_log::Logged, machine::BEGINNING_US};

/// A story that was played. `Display` writes it for a terminal.
#[derive(Clone, Debug)]
pub struct Performance {
    pub(super) demo: Demo,
    pub(super) baseline: Side,
    pub(super) ours: Side,
}

/// What one policy did.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) whose: &'static str,
    pub(super) name: &'static str,
    pub(super) run: Run,
    pub(super) lines: Vec<Line>,
    /// What the lines leave out.
    pub(super) rest: Option<String>,
    pub(super) verdict: String,
    /// At how many places in its code the cues can come.
    pub(super) places: usize,
    /// At how many of these it breaks the property; for our policy, any property.
    pub(super) broken_at: usize,
}

impl Performance {
    /// The timelines as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let panel = |side: &Side, holds| Panel {
            title: side.whose.to_owned(),
            lines: side.lines.clone(),
            verdict: side.verdict.clone(),
            holds,
        };
        let title = format!("{}: {}", self.demo.name, self.demo.summary);
        let panels = [panel(&self.baseline, false), panel(&self.ours, true)];
        svg::picture(&title, &panels, self.demo.scenario.hardware.cpus)
    }

    /// All that happens to both, each with its time.
    fn happenings(&self) -> Vec<(u64, String)> {
        let run = &self.baseline.run;
        let scripts = run.entries.iter().filter_map(|one| match (&one.what, one.by) {
            (Logged::Acts(action), Some(cpu)) => {
                Some((one.at_us - BEGINNING_US, format!("CPU {cpu} {}", words::action(*action))))
            }
            _ => None,
        });
        let [there, here] = self.demo.sends;
        let send = if there == here { there.to_owned() } else { format!("{there} ({here})") };
        let words = Words { send: &send };
        let cues = self.demo.cues.iter().map(|cue| words.cue(*cue));
        scripts.chain(run.given_us.iter().copied().zip(cues)).collect()
    }

    /// What "the same" means, what it leaves open, and what comes of that.
    fn sameness(&self) -> String {
        let (baseline, ours) = (&self.baseline, &self.ours);
        let same = "It is the same machine, and each CPU takes the same edges, but for those that \
                    a policy \
                    sends to itself.";
        if !self.demo.cues.iter().any(|cue| cue.when.is_free()) {
            return same.to_owned();
        }
        format!(
            "{same} Handlers are not the same code, so \"while it handles\" was tried before each \
             access of \
             either: {} of {} ways break {} in the other policy; of {} in Latchwork, {} break any \
             property. Shown are \
             the first way that breaks it there, and the first here that is the same.",
            baseline.broken_at, baseline.places, self.demo.breaks, ours.places, ours.broken_at
        )
    }
}

impl fmt::Display for Performance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let demo = &self.demo;
        writeln!(f, "{}: {}\n", demo.name, demo.summary)?;
        paragraph(f, demo.story)?;
        writeln!(f, "\nThe same happens to both, in this order:")?;
        for (at_us, text) in self.happenings() {
            writeln!(f, "{at_us:>6} us  {text}")?;
        }
        paragraph(f, &self.sameness())?;
        for (side, symbol) in [(&self.baseline, '✗'), (&self.ours, '✓')] {
            writeln!(f, "\n{} (`{}`)\n", side.whose, side.name)?;
            for row in text::timeline(&side.lines, demo.scenario.hardware.cpus) {
                writeln!(f, "{row}")?;
            }
            if let Some(rest) = &side.rest {
                writeln!(f, "{rest}")?;
            }
            writeln!(f)?;
            paragraph(f, &format!("{symbol} {}", side.verdict))?;
        }
        Ok(())
    }
}

fn paragraph(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text::wrap(text, text::WIDTH).iter().try_for_each(|line| writeln!(f, "{line}"))
}
