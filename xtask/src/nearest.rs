// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the names that there are somebody may have meant.

/// Names that are less alike were not meant.
const ALIKE: f64 = 0.85;

/// How many are told.
const FEW: usize = 3;

/// A few of `known`, those first that are most like `name`.
pub(crate) fn few<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    by_likeness(name, known).into_iter().take(FEW).map(|(_, known)| known).collect()
}

/// Words that ask whether one of `known` was meant, to follow `name`; empty if none is like it.
pub(crate) fn question<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let alike = by_likeness(name, known).into_iter().take_while(|(likeness, _)| *likeness > ALIKE);
    let alike: Vec<_> = alike.take(FEW).map(|(_, known)| format!("`{known}`")).collect();
    if alike.is_empty() {
        return String::new();
    }
    format!(" (did you mean {}?)", alike.join(" or "))
}

fn by_likeness<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<(f64, &'k str)> {
    let likeness = |known: &'k str| (strsim::jaro_winkler(name, known), known);
    let mut known: Vec<_> = known.into_iter().map(likeness).collect();
    known.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["hot-remove", "shared-source", "unknown", "hpet"];

    #[test]
    fn what_is_most_like_it_comes_first() {
        let few = few("hot-remvoe", KNOWN);
        assert_eq!((few.len(), few[0]), (FEW, "hot-remove"));
    }

    #[test]
    fn only_what_is_like_it_is_asked_for() {
        assert_eq!(question("hot-remvoe", KNOWN), " (did you mean `hot-remove`?)");
        assert_eq!(question("shared", KNOWN), " (did you mean `shared-source`?)");
        assert_eq!(question("zzz", KNOWN), "");
    }
}
