// SPDX-License-Identifier: MIT OR Apache-2.0
//! Traces, by which an execution is replayed: where it left the default course, and how.

use std::{fmt, str::FromStr};

/// At this choice point, this option instead of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The choice point, counted from 0 in this execution.
    pub point: usize,
    /// The option, counted from 0; 0 would be no deviation.
    pub option: usize,
}

/// An execution, as its deviations in order. Its text is like `x1:12.3,40.1`: the format's version,
/// then point and option of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The deviations, by ascending point.
    pub deviations: Vec<Deviation>,
}

const FORMAT: &str = "x1:";

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMAT)?;
        for (index, Deviation { point, option }) in self.deviations.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{point}.{option}")?;
        }
        Ok(())
    }
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// It does not begin with the version of a format that is known.
    Format,
    /// This part is not a point and an option.
    Part(String),
    /// This part's point does not come after the one before.
    Order(String),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => write!(f, "a trace begins with `{FORMAT}`"),
            Self::Part(part) => write!(f, "`{part}` is not a point and an option, as in `12.3`"),
            Self::Order(part) => write!(f, "`{part}` does not come after the part before it"),
        }
    }
}

impl std::error::Error for TraceError {}

impl FromStr for Trace {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let parts = text.trim().strip_prefix(FORMAT).ok_or(TraceError::Format)?;
        let mut deviations: Vec<Deviation> = Vec::new();
        for part in parts.split(',').filter(|part| !part.is_empty()) {
            let numbers = part.split_once('.');
            let deviation = numbers.and_then(|(point, option)| {
                Some(Deviation { point: point.parse().ok()?, option: option.parse().ok()? })
            });
            let deviation = deviation.ok_or_else(|| TraceError::Part(part.into()))?;
            if deviations.last().is_some_and(|last| last.point >= deviation.point) {
                return Err(TraceError::Order(part.into()));
            }
            deviations.push(deviation);
        }
        Ok(Self { deviations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_it_is_written() {
        for text in ["x1:", "x1:12.3", "x1:12.3,40.1"] {
            assert_eq!(text.parse::<Trace>().map(|trace| trace.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert_eq!("12.3".parse::<Trace>(), Err(TraceError::Format));
        assert_eq!("x1:12".parse::<Trace>(), Err(TraceError::Part("12".into())));
        assert_eq!("x1:12.1,12.2".parse::<Trace>(), Err(TraceError::Order("12.2".into())));
    }
}
