//! Numbers as text.

/// The shortest text that reads back as the same number; integers without a point.
///
/// With `decimals` exactly that many digits stand after the point.
pub fn format_number(value: f64, decimals: Option<u8>, out: &mut String) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = match decimals {
        Some(n) => write!(out, "{value:.*}", usize::from(n)),
        None if push_plain(value, out) => return,
        None => write!(out, "{value:?}"),
    };
    if decimals.is_none() && out.ends_with(".0") {
        out.truncate(out.len() - 2);
    }
}

/// Ten to the power of the decimals that most readings have at most. What is less than 0.0001 has an exponent.
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];

/// Any two numbers of at most fifteen digits are two different doubles.
const FIFTEEN_DIGITS: f64 = 1e15;

/// Writes a number of few digits, as readings mostly are, or says that it is none. `digits / scale` is the double
/// nearest to that decimal; where it equals the value, no shorter decimal does, as the last digit is not zero.
fn push_plain(value: f64, out: &mut String) -> bool {
    let magnitude = value.abs();
    for (decimals, scale) in SCALES.into_iter().enumerate() {
        let scaled = magnitude * scale;
        if scaled.is_nan() || scaled >= FIFTEEN_DIGITS {
            return false;
        }
        let digits = scaled.round_ties_even();
        if digits / scale != magnitude {
            continue;
        }
        if value.is_sign_negative() {
            out.push('-');
        }
        let (digits, scale) = (digits as u64, scale as u64);
        out.push_str(itoa::Buffer::new().format(digits / scale));
        if decimals > 0 {
            out.push('.');
            // The leading one keeps the zeros after the point.
            out.push_str(&itoa::Buffer::new().format(scale + digits % scale)[1..]);
        }
        return true;
    }
    false
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

    /// As the standard library writes it, whichever way was taken.
    fn expected(value: f64) -> String {
        let text = format!("{value:?}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    }

    #[test]
    fn every_way_writes_the_same() {
        for value in [
            -0.0,
            0.001,
            0.0015,
            0.00015,
            1e-4,
            9.999e-5,
            0.7,
            1.1,
            2.3,
            -71.25,
            0.3,
            999.999,
            1e15,
            1e16,
            123456789012.345,
            999999999999999.0,
            999999999999999.9,
            99999999999999.95,
            4503599627370497.5,
            9007199254740993.0,
            5e-324,
            f64::MAX,
        ] {
            assert_eq!(text(value, None), expected(value));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_number(bits: u64, whole in -10_000_000_000_000_000i64..10_000_000_000_000_000, decimals in 0i32..9) {
            for value in [f64::from_bits(bits), whole as f64 / 10f64.powi(decimals)] {
                if value.is_finite() {
                    proptest::prop_assert_eq!(text(value, None), expected(value));
                }
            }
        }
    }
}
