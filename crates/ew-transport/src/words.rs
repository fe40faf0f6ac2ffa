//! The last words of a child that failed.

use ew_core::{Missing, Secret};
use ew_net::Child;
use std::time::Duration;

/// How long they may take once it has ended.
const WAIT: Duration = Duration::from_millis(500);

/// How much of them is shown.
const LINES_MAX: usize = 5;
const LINE_CHARS_MAX: usize = 200;

/// The last lines of its stderr, on one after a colon, without secrets and without anything that a terminal would obey.
pub(crate) fn last_words<'a>(child: &Child, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let (stderr, is_cut) = child.stderr_tail(WAIT);
    let missing = if is_cut { Missing::Beginning } else { Missing::Nothing };
    let hidden = Secret::hide_all(secrets, &stderr, missing);
    let lines: Vec<&str> = hidden.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
    let shown = |line: &&str| line.chars().take(LINE_CHARS_MAX).flat_map(printable).collect::<String>();
    match last.is_empty() {
        true => String::new(),
        false => format!(": {}", last.iter().map(shown).collect::<Vec<_>>().join(" | ")),
    }
}

fn printable(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}
