//! Which points: globs over dotted parts.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A glob over a point's dotted parts: `*` matches any text within one part, `**` as a whole part
/// matches one or more parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PointGlob(String);

impl PointGlob {
    /// Whether the whole point matches.
    pub fn matches(&self, point: &str) -> bool {
        let parts: Vec<&str> = self.0.split('.').collect();
        let names: Vec<&str> = point.split('.').collect();
        parts_match(&parts, &names)
    }

    /// The glob as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parts_match(parts: &[&str], names: &[&str]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), Some((_, more))) => {
            // One or more: this part takes the first name, then either ends or goes on.
            parts_match(rest, more) || parts_match(parts, more)
        }
        (Some((part, rest)), Some((name, more))) => part_matches(part, name) && parts_match(rest, more),
        _ => false,
    }
}

/// `*` within one part, any number of times.
fn part_matches(part: &str, name: &str) -> bool {
    let mut pieces = part.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut tail = None;
    for piece in pieces {
        if let Some(middle) = tail.replace(piece) {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
    }
    match tail {
        None => rest.is_empty(),
        Some(tail) => rest.ends_with(tail),
    }
}

impl FromStr for PointGlob {
    type Err = String;

    fn from_str(text: &str) -> Result<PointGlob, String> {
        if text.is_empty() || text.split('.').any(str::is_empty) {
            return Err(format!("{text:?} is not a glob: it has an empty part"));
        }
        if text.split('.').filter(|part| *part == "**").count() > 4 {
            return Err(format!("{text:?} holds more than four \"**\""));
        }
        if let Some(part) = text.split('.').find(|part| *part != "**" && part.contains("**")) {
            return Err(format!("in {text:?} the part {part:?} mixes \"**\" with other text"));
        }
        Ok(PointGlob(text.to_owned()))
    }
}

impl TryFrom<String> for PointGlob {
    type Error = String;

    fn try_from(text: String) -> Result<PointGlob, String> {
        text.parse()
    }
}

impl fmt::Display for PointGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The points that any of some globs matches; no glob at all means every point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<PointGlob>);

impl Selection {
    /// Whether the point is selected.
    pub fn matches(&self, point: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.matches(point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, point, expect) in [
            ("com.example.**", "com.example.hq", true),
            ("com.example.**", "com.example.hq.sw1.p1", true),
            ("com.example.**", "com.example", false),
            ("com.example.*", "com.example.hq.sw1", false),
            ("com.*.hq", "com.example.hq", true),
            ("**", "a", true),
            ("**.level", "cbus.lobby.level", true),
            ("**.b.**", "a.b.b.c", true),
            ("sw*", "sw1", true),
            ("sw*1", "sw1", true),
            ("s*w*1", "sxwy1", true),
            ("sw*1*1", "sw1", false),
            ("sw", "sw1", false),
        ] {
            assert_eq!(glob.parse::<PointGlob>().unwrap().matches(point), expect, "{glob} {point}");
        }
        for bad in ["", "a..b", "a.x**"] {
            assert!(bad.parse::<PointGlob>().is_err(), "{bad:?}");
        }
    }
}
