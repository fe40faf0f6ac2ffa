//! Foreign text before people: labels, replies and names come from elsewhere, and a terminal acts on some characters.

use std::borrow::Cow;
use std::fmt::Write;

/// As it stands in one cell of a table.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    spelled(text, is_acted_on)
}

/// As it stands in a message, which may have lines and tabs of its own.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    spelled(text, |c| is_acted_on(c) && !matches!(c, '\n' | '\t'))
}

/// A JSON document with the same content, whose strings have escapes for what JSON itself would let through.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    spelled_as(text, |c| is_acted_on(c) && c != '\n', |c, shown| write!(shown, "\\u{:04x}", u32::from(c)))
}

/// Control characters, and those that break a line or turn the direction of what follows.
fn is_acted_on(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn spelled(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    // \n, \t, \r, \u{1b}.
    spelled_as(text, is_bad, |c, shown| write!(shown, "{}", c.escape_default()))
}

fn spelled_as(
    text: &str,
    is_bad: impl Fn(char) -> bool,
    spell: impl Fn(char, &mut String) -> std::fmt::Result,
) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_bad(c) {
            // Infallible for a String.
            true => drop(spell(c, &mut shown)),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_act_on() {
        let text = "K\u{fc}che\u{1b}[2J\r\n\t\u{9b}\u{7f}\u{202e}";
        assert_eq!(cell(text), "K\u{fc}che\\u{1b}[2J\\r\\n\\t\\u{9b}\\u{7f}\\u{202e}");
        assert_eq!(lines("a\u{1b}\n\tb\r"), "a\\u{1b}\n\tb\\r");
        assert_eq!(json("{\n\"K\u{fc}che\u{9b}\u{202e}\"}"), "{\n\"K\u{fc}che\\u009b\\u202e\"}");
        assert!(matches!(cell("Porch \\ \u{2014}"), Cow::Borrowed(_)));
    }
}
