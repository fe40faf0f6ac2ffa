//! Sums of decimal readings without the noise of binary fractions.

/// `usage` times ten to the power of `units`, watts: the double nearest to the decimal, so that
/// 154 and -1 give 15.4 and nothing else.
///
/// `units` is `cewEntEnergyUnits` (-24..24), `usage` is `cewEntEnergyUsage` (0..2147483647).
pub fn watts(usage: u32, units: i8) -> f64 {
    // The reader of decimals rounds once; a multiplication by a power of ten would round twice.
    format!("{usage}e{units}").parse().unwrap_or(f64::NAN)
}

/// `mantissa` times ten to the power of `exponent` times `scale`, by the shortest decimal of `scale`: 105 times 0.1 is
/// 10.5 and nothing else. None where that is no finite number.
pub(crate) fn scaled(mantissa: i128, exponent: i32, scale: f64) -> Option<f64> {
    let (factor, power) = decimal(scale)?;
    let (product, exponent) = (mantissa.checked_mul(factor)?, exponent.checked_add(power)?);
    format!("{product}e{exponent}").parse().ok().filter(|value: &f64| value.is_finite())
}

/// A sum of finite numbers by their shortest decimals: 7.3 + 7.2 is 14.5.
///
/// Where the decimals lie too far apart to be added exactly, the sum is that of the doubles.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    /// The exact sum is `mantissa * 10^exponent`.
    mantissa: i128,
    exponent: i32,
    rounded: f64,
    inexact: bool,
}

impl Sum {
    /// The sum of nothing: 0.
    pub fn new() -> Sum {
        Sum::default()
    }

    /// Adds a finite number.
    pub fn add(&mut self, value: f64) {
        self.rounded += value;
        match decimal(value).and_then(|term| self.plus(term)) {
            Some((mantissa, exponent)) => (self.mantissa, self.exponent) = (mantissa, exponent),
            None => self.inexact = true,
        }
    }

    /// The sum.
    pub fn value(&self) -> f64 {
        if self.inexact {
            return self.rounded;
        }
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(self.rounded)
    }

    fn plus(&self, (mantissa, exponent): (i128, i32)) -> Option<(i128, i32)> {
        if mantissa == 0 {
            return Some((self.mantissa, self.exponent));
        }
        if self.mantissa == 0 {
            return Some((mantissa, exponent));
        }
        let low = exponent.min(self.exponent);
        let scaled = |mantissa: i128, exponent: i32| {
            10i128.checked_pow(exponent.abs_diff(low)).and_then(|factor| mantissa.checked_mul(factor))
        };
        let sum = scaled(mantissa, exponent)?.checked_add(scaled(self.mantissa, self.exponent)?)?;
        Some((sum, low))
    }
}

/// The shortest decimal that reads back as the number, as mantissa and power of ten.
pub(crate) fn decimal(value: f64) -> Option<(i128, i32)> {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    match digits.split_once('.') {
        None => Some((digits.parse().ok()?, exponent)),
        Some((whole, fraction)) => {
            let mantissa = format!("{whole}{fraction}").parse().ok()?;
            Some((mantissa, exponent - i32::try_from(fraction.len()).ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = Sum::new();
        values.iter().for_each(|v| sum.add(*v));
        sum.value()
    }

    #[test]
    fn one_reading_is_the_nearest_double() {
        for (usage, units, expect) in [
            (154, -1, 15.4),
            (15_400, -3, 15.4),
            (2, 3, 2000.0),
            (0, -24, 0.0),
            (0x7fff_ffff, 0, 2_147_483_647.0),
            (7, 24, 7e24),
            (7, -24, 7e-24),
            (3, -1, 0.3),
        ] {
            assert_eq!(watts(usage, units), expect, "{usage}e{units}");
        }
    }

    #[test]
    fn scales_are_decimal() {
        for (mantissa, exponent, scale, expect) in [
            (105, 0, 0.1, Some(10.5)),
            (6300, 0, 0.001, Some(6.3)),
            (153, 0, 10.0, Some(1530.0)),
            (-5, -1, 1.0, Some(-0.5)),
            (0, 24, 0.001, Some(0.0)),
            (i128::MAX, 0, 3.0, None),
            (1, 24, 1e300, None),
        ] {
            assert_eq!(scaled(mantissa, exponent, scale), expect, "{mantissa}e{exponent} * {scale}");
        }
    }

    #[test]
    fn sums_are_decimal() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[0.1, 0.2]), 0.3);
        assert_eq!(sum(&[15.4, 120.0, 2000.0]), 2135.4);
        assert_eq!(sum(&[145.1; 59]), 8560.9);
        assert_eq!(sum(&[1e24, -1e24, 0.0, 2.5]), 2.5);
        assert_eq!(sum(&[-0.1, 0.1]), 0.0);
        assert_eq!(sum(&[0.1; 1000]), 100.0);
    }

    #[test]
    fn far_apart_falls_back_to_doubles() {
        assert_eq!(sum(&[2e33, 1e-24, 1.0]), 2e33);
        assert_eq!(sum(&[1e300, 1e-300]), 1e300);
    }
}
