//! What `GET //P/N/228/D/C Data` told. Pure.

/// The measurement application.
pub(crate) const MEASUREMENT: u8 = 228;

/// One reading as told: value, power of ten, unit and age in milliseconds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) value: i32,
    pub(crate) exponent: i32,
    pub(crate) unit_code: u8,
    /// None: the channel was never heard.
    pub(crate) age_ms: Option<u64>,
}

/// `10234,-2,2,1500`; an age of -1 stands for never.
pub(crate) fn reading(data: &str) -> Option<Reading> {
    let parts: Vec<&str> = data.split(',').map(str::trim).collect();
    let [value, exponent, unit_code, age] = parts[..] else { return None };
    let age_ms = match age {
        "-1" => None,
        age => Some(age.parse().ok()?),
    };
    Some(Reading {
        value: value.parse().ok()?,
        exponent: exponent.parse().ok()?,
        unit_code: unit_code.parse().ok()?,
        age_ms,
    })
}

/// The unit of a code, by the application's own document (APP/28); none: it says that there is none, or a custom one,
/// or it is not known here.
pub(crate) fn unit(code: u8) -> Option<&'static str> {
    Some(match code {
        0x00 => "°C",
        0x01 => "A",
        0x07 => "Hz",
        0x08 => "J",
        0x1A => "%",
        0x24 => "V",
        0x25 => "Wh",
        0x26 => "W",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_heard_is_no_reading_of_zero() {
        let never = Reading { value: 0, exponent: 0, unit_code: 0, age_ms: None };
        assert_eq!(reading("0,0,0,-1"), Some(never));
        let heard = Reading { value: 10234, exponent: -2, unit_code: 0x24, age_ms: Some(1500) };
        assert_eq!(reading("10234, -2, 36, 1500"), Some(heard));
        for odd in ["", "1,2,3", "1,2,3,-2", "1,2,256,4", "a,0,0,0", "1,2,3,4,5"] {
            assert_eq!(reading(odd), None, "{odd}");
        }
    }
}
