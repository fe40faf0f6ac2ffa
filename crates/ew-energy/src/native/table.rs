//! What a switch prints for a query: the table, its last line, and errors.

use super::{Collected, Row, believable};

/// So much of a line that makes no sense is shown, characters.
const SHOWN_CHARS_MAX: usize = 80;

/// The line that ends every answer.
const CLOSING: &str = "Queried:";

/// The text as a terminal would show it: a carriage return and backspaces go back on the line, what follows takes the
/// place of what was there. Pagers wipe their prompt like this.
pub(super) fn on_screen(raw: &str) -> Vec<String> {
    raw.split('\n').map(line_on_screen).collect()
}

/// One line of it.
pub(super) fn line_on_screen(raw: &str) -> String {
    let mut line: Vec<char> = Vec::new();
    let mut at: usize = 0;
    for c in raw.chars() {
        match c {
            '\r' => at = 0,
            '\u{8}' => at = at.saturating_sub(1),
            '\t' => at = put(&mut line, at, ' '),
            c if c.is_control() => {}
            c => at = put(&mut line, at, c),
        }
    }
    line.into_iter().collect::<String>().replace("--More--", "").trim_end().to_owned()
}

fn put(line: &mut Vec<char>, at: usize, c: char) -> usize {
    match line.get_mut(at) {
        Some(there) => *there = c,
        None => line.push(c),
    }
    at + 1
}

/// An error of the switch: a line that begins with `%`.
pub(super) fn error(lines: &[String]) -> Option<&str> {
    lines.iter().map(|line| line.trim()).find(|line| line.starts_with('%'))
}

/// The last line of an answer; what it counts is shown, not used.
pub(super) fn closing(lines: &[String]) -> Option<&str> {
    lines.iter().map(|line| line.trim()).find(|line| line.starts_with(CLOSING))
}

/// The rows of `collect usage`; their words are shown as `hidden` makes them.
pub(super) fn collected(lines: &[String], hidden: &dyn Fn(&str) -> String) -> Result<Collected, String> {
    let body = before_closing(lines)?;
    let header = body
        .iter()
        .position(|line| columns(line).is_some())
        .ok_or("there is no header with Host and Usage")?;
    let after = columns(&body[header]).unwrap_or_default();
    let mut found = Collected::default();
    for line in &body[header + 1..] {
        let line = line.trim();
        // A rule below the header, marks of progress.
        if line.chars().all(|c| c.is_whitespace() || "-!.=+|".contains(c)) {
            continue;
        }
        match row(line, &after) {
            Ok(row) => found.rows.push(Row { name: hidden(&row.name), ..row }),
            Err(why) => {
                let why = hidden(&why);
                let host = line.split_whitespace().next().map(str::to_owned);
                let shown: String = hidden(line).chars().take(SHOWN_CHARS_MAX).collect();
                found.left_out.push((host, format!("the row {shown:?} is left out: {why}")));
            }
        }
    }
    Ok(found)
}

/// The one number of `sum usage`, watts.
pub(super) fn sum(lines: &[String]) -> Result<f64, String> {
    let mut numbers = before_closing(lines)?.iter().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., number, unit] = words[..] else { return None };
        watts(number, unit).ok()
    });
    match (numbers.next(), numbers.next()) {
        (Some(watts), None) => Ok(watts),
        (Some(_), Some(_)) => Err("there is more than one sum".into()),
        (None, _) => Err("there is no number with its unit".into()),
    }
}

fn before_closing(lines: &[String]) -> Result<&[String], String> {
    let end = lines.iter().position(|line| line.trim_start().starts_with(CLOSING));
    end.map(|end| &lines[..end]).ok_or_else(|| format!("it does not end with a line {CLOSING}"))
}

/// The columns after usage and its unit, in small letters, where the line is the header.
fn columns(line: &str) -> Option<Vec<String>> {
    let words: Vec<String> = line.split_whitespace().map(str::to_lowercase).collect();
    let usage = words.iter().position(|word| word == "usage")?;
    if words.first().is_none_or(|first| first != "host") {
        return None;
    }
    Some(
        words[usage + 1..]
            .iter()
            .filter(|word| !matches!(word.as_str(), "unit" | "units"))
            .cloned()
            .collect(),
    )
}

/// A host, a name of any number of words, a number with its unit, and the other columns.
fn row(line: &str, after: &[String]) -> Result<Row, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_number = |at: &usize| words[*at].parse::<f64>().is_ok() && words[at + 1].parse::<f64>().is_err();
    let at = (1..words.len().saturating_sub(1)).rev().find(is_number).ok_or("it has no usage with a unit")?;
    let watts = watts(words[at], words[at + 1])?;
    let number = |names: &[&str]| {
        let place = after.iter().position(|column| names.contains(&column.as_str()))?;
        words.get(at + 2 + place)?.parse().ok()
    };
    Ok(Row {
        id: None,
        name: words[1..at].join(" "),
        host: words[0].to_owned(),
        watts,
        level: number(&["level"]),
        importance: number(&["imp", "importance"]),
    })
}

/// `154` and `mW` or `(mW)`: 0.154, the double nearest to the decimal.
fn watts(number: &str, unit: &str) -> Result<f64, String> {
    let exponent = match unit.trim_start_matches('(').trim_end_matches(')') {
        "mW" => -3,
        "W" => 0,
        "kW" => 3,
        "MW" => 6,
        other => return Err(format!("{other:?} is no unit of power")),
    };
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!("{number:?} is no power"));
    }
    let watts = format!("{number}e{exponent}").parse().map_err(|_| format!("{number:?} is no number"))?;
    believable(watts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        on_screen(text)
    }

    fn collected(lines: &[String]) -> Result<Collected, String> {
        super::collected(lines, &str::to_owned)
    }

    const TABLE: &str = "EnergyWise query, timeout is 6 seconds:\r\n!!!!\r\n\r\n\
        Host            Name              Usage  unit  Level  Imp\r\n\
        ----            ----              -----  ----  -----  ---\r\n\
        192.0.2.1       sw1               76.0   (W)   10     1\r\n\
        192.0.2.1       Gi1/0/1 lobby     6400   (mW)  10     50\r\n\
        192.0.2.2                         0      W     0      1\r\n\
        \r\nQueried: 3\r\n";

    #[test]
    fn rows_in_watts_and_milliwatts() {
        let found = collected(&lines(TABLE)).unwrap();
        let rows: Vec<_> = found
            .rows
            .iter()
            .map(|r| (r.host.as_str(), r.name.as_str(), r.watts, r.level, r.importance))
            .collect();
        let expect = [
            ("192.0.2.1", "sw1", 76.0, Some(10), Some(1)),
            ("192.0.2.1", "Gi1/0/1 lobby", 6.4, Some(10), Some(50)),
            ("192.0.2.2", "", 0.0, Some(0), Some(1)),
        ];
        assert_eq!(rows, expect);
        assert_eq!(found.left_out, []);
        assert_eq!(closing(&lines(TABLE)), Some("Queried: 3"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let table = "Host Name Usage unit Level Imp\n192.0.2.1 sw1 7 W 10 1\n192.0.2.2 sw2 - W 10 1\n\
                     192.0.2.3 sw3 9 VA 10 1\n192.0.2.4 sw4 -9 W 10 1\n192.0.2.5\nQueried: 5";
        let found = collected(&lines(table)).unwrap();
        assert_eq!(found.rows.len(), 1);
        let hosts: Vec<_> = found.left_out.iter().map(|(host, _)| host.as_deref().unwrap()).collect();
        assert_eq!(hosts, ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]);
        assert!(found.left_out[1].1.ends_with("\"VA\" is no unit of power"), "{:?}", found.left_out);
        assert!(collected(&lines("Host Name Usage\n192.0.2.1 a 1 W")).unwrap_err().contains("Queried:"));
        assert!(collected(&lines("nothing\nQueried: 0")).unwrap_err().contains("header"));
    }

    #[test]
    fn the_sum_is_one_number() {
        assert_eq!(sum(&lines("Total Usage\n-----------\n346.3 (W)\nQueried: 3")), Ok(346.3));
        assert_eq!(sum(&lines("Usage 154 mW\nQueried: 3")), Ok(0.154));
        assert!(sum(&lines("1 W\n2 W\nQueried: 3")).is_err());
        assert!(sum(&lines("nothing\nQueried: 3")).is_err());
        assert!(sum(&lines("1 W")).is_err());
    }

    #[test]
    fn a_pager_wipes_its_prompt() {
        let wiped = format!(" --More-- {}{}{}row", "\u{8}".repeat(9), " ".repeat(9), "\u{8}".repeat(9));
        assert_eq!(line_on_screen(&wiped), " row");
        assert_eq!(line_on_screen(" --More-- \r          \rrow\r"), "row");
        assert_eq!(line_on_screen("\u{7}a\tb\r"), "a b");
        let refused = lines("    ^\r\n% Invalid input detected at '^' marker.\r\n");
        assert_eq!(error(&refused), Some("% Invalid input detected at '^' marker."));
    }
}
