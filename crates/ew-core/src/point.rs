//! Point names: what a reading is a reading of.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest point name, bytes of UTF-8.
pub const POINT_BYTES_MAX: usize = 255;

/// The longest part that [`point_part`] makes, bytes. A domain, a switch and an entity together stay
/// below [`POINT_BYTES_MAX`].
pub const PART_BYTES_MAX: usize = 64;

/// A name of 1 to 255 bytes of UTF-8 without control characters; dots part it.
///
/// Ordered byte-wise, which is the order of columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(Arc<str>);

impl Point {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(name: &str) -> Result<Point, String> {
        if name.is_empty() {
            return Err("a point needs a name".into());
        }
        if name.len() > POINT_BYTES_MAX {
            return Err(format!("the point name is {} bytes long, more than {POINT_BYTES_MAX}", name.len()));
        }
        if name.chars().any(char::is_control) {
            return Err(format!("the point name {name:?} holds a control character"));
        }
        Ok(Point(name.into()))
    }
}

impl Borrow<str> for Point {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One part of a point name from what a device calls itself: `.` and control characters become `_`;
/// a part longer than [`PART_BYTES_MAX`] is cut and ends in `#<index>`. Empty stays empty.
pub fn point_part(text: &str, index: u32) -> String {
    let clean: String = text.chars().map(|c| if c == '.' || c.is_control() { '_' } else { c }).collect();
    if clean.len() <= PART_BYTES_MAX {
        return clean;
    }
    let tail = format!("#{index}");
    let mut end = PART_BYTES_MAX - tail.len();
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &clean[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_limits() {
        assert!("com.example.sw1".parse::<Point>().is_ok());
        assert!("x".repeat(255).parse::<Point>().is_ok());
        for bad in ["".to_owned(), "x".repeat(256), "a\nb".to_owned(), "a\u{7f}b".to_owned()] {
            assert!(bad.parse::<Point>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts_are_cleaned_and_cut() {
        assert_eq!(point_part("Gi1.0/1\n", 7), "Gi1_0/1_");
        let long = point_part(&"ü".repeat(60), 1001);
        assert!(long.len() <= PART_BYTES_MAX && long.ends_with("#1001"), "{long}");
    }
}
