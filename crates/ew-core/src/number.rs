//! Numbers as text.

/// The shortest text that reads back as the same number; integers without a point.
///
/// With `decimals` exactly that many digits stand after the point.
pub fn format_number(value: f64, decimals: Option<u8>, out: &mut String) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = match decimals {
        Some(n) => write!(out, "{value:.*}", usize::from(n)),
        None => write!(out, "{value:?}"),
    };
    if decimals.is_none() && out.ends_with(".0") {
        out.truncate(out.len() - 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64, decimals: Option<u8>) -> String {
        let mut out = String::new();
        format_number(value, decimals, &mut out);
        out
    }

    #[test]
    fn shortest_round_trip() {
        for (value, expect) in [
            (0.0, "0"),
            (12.5, "12.5"),
            (71.0, "71"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-500.0, "-500"),
            (1e21, "1e21"),
            (2147483647.0, "2147483647"),
        ] {
            assert_eq!(text(value, None), expect);
            assert_eq!(expect.parse::<f64>().unwrap(), value);
        }
    }

    #[test]
    fn fixed_decimals() {
        assert_eq!(text(3.336, Some(2)), "3.34");
        assert_eq!(text(3.0, Some(2)), "3.00");
        assert_eq!(text(3.5, Some(0)), "4");
    }
}
