//! Text on its way out: what every format does alike.

use crate::{Decimals, FormatError, Strftime};
use ew_core::{Row, Timestamp, Zone, format_number};
use std::io::Write;

/// Text is handed on in pieces of about this size, bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// The text of one document. Writers add to [`Output::text`] and offer it with [`Output::drain`].
pub(crate) struct Output<W> {
    format: &'static str,
    /// Not yet handed on.
    pub(crate) text: String,
    out: W,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(format: &'static str, out: W) -> Output<W> {
        Output { format, text: String::with_capacity(PIECE_BYTES + 4096), out }
    }

    /// Hands the text on once there is enough of it.
    pub(crate) fn drain(&mut self) -> Result<(), FormatError> {
        if self.text.len() < PIECE_BYTES {
            return Ok(());
        }
        self.write()
    }

    /// Hands everything on.
    pub(crate) fn flush(&mut self) -> Result<(), FormatError> {
        self.write()?;
        self.out.flush().map_err(|source| FormatError::Write { format: self.format, source })
    }

    fn write(&mut self) -> Result<(), FormatError> {
        self.out
            .write_all(self.text.as_bytes())
            .map_err(|source| FormatError::Write { format: self.format, source })?;
        self.text.clear();
        Ok(())
    }
}

/// The timestamps of a document, each made once, and the watch over the order of its rows.
pub(crate) struct Times<'a> {
    format: &'static str,
    zone: &'a Zone,
    template: Option<&'a Strftime>,
    time: Option<Timestamp>,
    text: String,
    point: String,
}

impl<'a> Times<'a> {
    pub(crate) fn new(format: &'static str, zone: &'a Zone, template: Option<&'a Strftime>) -> Times<'a> {
        Times { format, zone, template, time: None, text: String::new(), point: String::new() }
    }

    /// Takes the next row's time and point; true when the time is a new one.
    pub(crate) fn step(&mut self, row: &Row<'_>) -> Result<bool, FormatError> {
        let is_new = self.turn(row)?;
        if !is_new && self.point.as_str() >= row.point {
            return Err(self.out_of_order(row));
        }
        self.point.clear();
        self.point.push_str(row.point);
        Ok(is_new)
    }

    /// Takes the next row's time; true when it is a new one. The order of points is watched by [`Names`].
    pub(crate) fn turn(&mut self, row: &Row<'_>) -> Result<bool, FormatError> {
        if self.time == Some(row.time) {
            return Ok(false);
        }
        if self.time.is_some_and(|last| last > row.time) {
            return Err(self.out_of_order(row));
        }
        self.time = Some(row.time);
        self.text = match self.template {
            Some(template) => self.zone.format(row.time, template.as_str()),
            None => self.zone.rfc3339(row.time),
        };
        Ok(true)
    }

    pub(crate) fn out_of_order(&self, row: &Row<'_>) -> FormatError {
        FormatError::Order { format: self.format, point: row.point.to_owned(), time: row.time }
    }

    /// Whether this time is not the present one, so that the present line is complete.
    pub(crate) fn is_after(&self, time: Timestamp) -> bool {
        self.time.is_some_and(|present| present != time)
    }

    /// The present timestamp; empty before the first row.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The points met so far in byte-wise order, each with what is made of its name once. The rows of one time come in
/// that order too, so that the next row is most likely of the point after the last one.
pub(crate) struct Names<T> {
    known: Vec<(Box<str>, T)>,
    next: usize,
}

impl<T> Names<T> {
    pub(crate) fn new() -> Names<T> {
        Names { known: Vec::new(), next: 0 }
    }

    /// To be called at each new time.
    pub(crate) fn restart(&mut self) {
        self.next = 0;
    }

    /// What was made of a name, by `make` where it is a new one; none where the point is not after the last one of this
    /// time.
    pub(crate) fn next<E>(
        &mut self,
        point: &str,
        make: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<&mut T>, E> {
        let is_next = self.known.get(self.next).is_some_and(|(name, _)| &**name == point);
        let place = match is_next {
            true => self.next,
            false => match self.known.binary_search_by(|(name, _)| (**name).cmp(point)) {
                Ok(place) => place,
                Err(place) => {
                    self.known.insert(place, (point.into(), make(point)?));
                    place
                }
            },
        };
        if place < self.next {
            return Ok(None);
        }
        self.next = place + 1;
        Ok(self.known.get_mut(place).map(|(_, made)| made))
    }
}

/// The watch over the order of rows that come one point after the other.
pub(crate) struct Points {
    format: &'static str,
    name: String,
    time: Option<Timestamp>,
}

impl Points {
    pub(crate) fn new(format: &'static str) -> Points {
        Points { format, name: String::new(), time: None }
    }

    /// The present point; empty before the first row.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this point is not the present one, so that the present one is complete.
    pub(crate) fn is_new(&self, point: &str) -> bool {
        self.time.is_none() || self.name != point
    }

    /// Takes the next row's point and time.
    pub(crate) fn step(&mut self, row: &Row<'_>) -> Result<(), FormatError> {
        let in_order = match self.time {
            None => true,
            Some(time) if self.name == row.point => time < row.time,
            Some(_) => self.name.as_str() < row.point,
        };
        if !in_order {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::Order { format: self.format, point, time });
        }
        if self.is_new(row.point) {
            row.point.clone_into(&mut self.name);
        }
        self.time = Some(row.time);
        Ok(())
    }
}

/// Appends a number with a point as its decimal mark. What rounds to zero is `0`, never `-0`.
pub(crate) fn push_number(value: f64, decimals: Option<Decimals>, out: &mut String) {
    let start = out.len();
    format_number(value, decimals.map(Decimals::get), out);
    let is_negative_zero =
        out[start..].strip_prefix('-').is_some_and(|digits| digits.bytes().all(|b| matches!(b, b'0' | b'.')));
    if is_negative_zero {
        out.remove(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_negative_zero() {
        for (value, decimals, expect) in [
            (-0.001, Some(2), "0.00"),
            (-0.4, Some(0), "0"),
            (-0.001, None, "-0.001"),
            (-0.01, Some(2), "-0.01"),
        ] {
            let mut text = String::from("x");
            push_number(value, decimals.map(|n| Decimals::try_from(n).unwrap()), &mut text);
            assert_eq!(text, format!("x{expect}"));
        }
    }

    #[test]
    fn format_number_appends() {
        let mut text = String::from("9.0,");
        push_number(3.0, None, &mut text);
        assert_eq!(text, "9.0,3");
    }
}
