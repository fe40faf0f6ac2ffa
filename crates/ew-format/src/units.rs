//! The units that meter formats name, and values from one into the other.

/// What is measured, longest first: a unit ends with it, in either case.
const BASES: [&str; 6] = ["varh", "VAh", "var", "Wh", "VA", "W"];

/// A value in `from` as one in `to`; none where they are not of one kind. A reading of no known unit is in the
/// one that its meter is said to have.
pub(crate) fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    if from.is_empty() || from == to {
        return Some(value);
    }
    let ((base, from), (other, to)) = (split(from)?, split(to)?);
    // A power of ten is exact, its inverse is not.
    (base == other).then(|| match from - to {
        up @ 0.. => value * 10_f64.powi(up),
        down => value / 10_f64.powi(-down),
    })
}

/// `kWh` and `KWH` as (`Wh`, 3).
pub(crate) fn split(unit: &str) -> Option<(&'static str, i32)> {
    BASES.into_iter().find_map(|base| {
        let (prefix, end) = unit.split_at_checked(unit.len().checked_sub(base.len())?)?;
        let exponent = match prefix {
            "m" => -3,
            "" => 0,
            "k" | "K" => 3,
            "M" => 6,
            "G" => 9,
            _ => return None,
        };
        end.eq_ignore_ascii_case(base).then_some((base, exponent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_kind() {
        for (value, from, to, expect) in [
            (1500.0, "Wh", "kWh", Some(1.5)),
            (1500.0, "Wh", "KWH", Some(1.5)),
            (3.0, "Wh", "kWh", Some(0.003)),
            (2.0, "kWh", "Wh", Some(2000.0)),
            (2.0, "mW", "W", Some(0.002)),
            (2.0, "MW", "KW", Some(2000.0)),
            (2.0, "kvarh", "VARH", Some(2000.0)),
            (2.0, "", "KWH", Some(2.0)),
            (2.0, "degC", "degC", Some(2.0)),
            (2.0, "W", "Wh", None),
            (2.0, "VA", "W", None),
            (2.0, "degC", "KWH", None),
            (2.0, "W", "µW", None),
        ] {
            assert_eq!(convert(value, from, to), expect, "{value} {from} {to}");
        }
    }
}
