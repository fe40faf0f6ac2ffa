//! snmpsim's `.snmprec` files: one row a line, `OID|TAG|VALUE`.

use super::mib::Mib;
use super::oid::Oid;
use super::value::Value;
use crate::error::SimError;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::str::FromStr;

/// Largest OCTET STRING of SNMP (RFC 2578, section 7.1.2).
const OCTETS_MAX: usize = 65_535;

/// Reads a file.
pub(crate) fn read(file: &Path) -> Result<Mib, SimError> {
    let content =
        std::fs::read(file).map_err(|source| SimError::Unreadable { file: file.to_owned(), source })?;
    let rows =
        parse(&content).map_err(|(line, reason)| SimError::BadRow { file: file.to_owned(), line, reason })?;
    if rows.is_empty() {
        return Err(SimError::NoRows { file: file.to_owned() });
    }
    Ok(Mib::new(rows))
}

/// The rows of a file's content, or the first bad line (from 1) and what is wrong with it. Blank lines and
/// lines that start with `#` say nothing.
fn parse(content: &[u8]) -> Result<BTreeMap<Oid, Value>, (usize, String)> {
    let mut rows = BTreeMap::new();
    for (i, line) in content.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (oid, value) = row(line).map_err(|reason| (i + 1, reason))?;
        if rows.contains_key(&oid) {
            return Err((i + 1, format!("{oid} stands there twice")));
        }
        rows.insert(oid, value);
    }
    Ok(rows)
}

fn row(line: &[u8]) -> Result<(Oid, Value), String> {
    let mut fields = line.splitn(3, |&b| b == b'|');
    let (Some(oid), Some(tag), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("not OID|TAG|VALUE".into());
    };
    let oid_text = text(oid);
    let oid = oid_text.parse().map_err(|e| format!("{oid_text:?}: {e}"))?;
    Ok((oid, typed(&text(tag), value)?))
}

fn typed(tag: &str, value: &[u8]) -> Result<Value, String> {
    if let Some((_, variation)) = tag.split_once(':') {
        return Err(format!(
            "tag {tag:?}: variations such as {variation:?} are not simulated; write a plain value"
        ));
    }
    let number = text(value);
    match tag {
        "2" => Ok(Value::Integer(parsed(&number, "an integer of 32 bits")?)),
        "4" => octets(value.to_vec()),
        "4x" => octets(hex(value)?),
        "5" if value.is_empty() => Ok(Value::Null),
        "5" => Err("a Null has no value".into()),
        "6" => number.parse().map(Value::Oid).map_err(|e| format!("{number:?}: {e}")),
        "64" => Ok(Value::IpAddress(parsed::<Ipv4Addr>(&number, "an IPv4 address")?.octets())),
        "65" => Ok(Value::Counter32(unsigned(&number)?)),
        "66" => Ok(Value::Unsigned32(unsigned(&number)?)),
        "67" => Ok(Value::TimeTicks(unsigned(&number)?)),
        "70" => Ok(Value::Counter64(parsed(&number, "a whole number below 2^64")?)),
        _ => Err(format!("tag {tag:?} is none of 2, 4, 4x, 5, 6, 64, 65, 66, 67, 70")),
    }
}

fn octets(bytes: Vec<u8>) -> Result<Value, String> {
    if bytes.len() > OCTETS_MAX {
        return Err(format!("a string of {} octets; SNMP has at most {OCTETS_MAX}", bytes.len()));
    }
    Ok(Value::Octets(bytes.into()))
}

fn hex(digits: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{:?} is not pairs of hexadecimal digits", text(digits)))
}

fn unsigned(number: &str) -> Result<u32, String> {
    parsed(number, "a whole number below 2^32")
}

fn parsed<T: FromStr>(value: &str, wanted: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{value:?} is not {wanted}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_tag() {
        let content =
            b"# a switch\n\n1.3.10|2|-5\n1.3.9|4|a|b \xff\n1.3.8|4x|00fF\r\n1.3.7|5|\n1.3.6|6|1.3.6\n\
            1.3.5|64|192.0.2.7\n1.3.4|65|4294967295\n1.3.3|66|7\n1.3.2|67|8\n1.3.1|70|18446744073709551615";
        let rows: Vec<Value> = parse(content).unwrap().into_values().collect();
        let expected = [
            Value::Counter64(u64::MAX),
            Value::TimeTicks(8),
            Value::Unsigned32(7),
            Value::Counter32(u32::MAX),
            Value::IpAddress([192, 0, 2, 7]),
            Value::Oid("1.3.6".parse().unwrap()),
            Value::Null,
            Value::Octets(vec![0, 0xff].into()),
            Value::Octets(b"a|b \xff".to_vec().into()),
            Value::Integer(-5),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn names_the_bad_line_and_why() {
        let cases = [
            (
                "1.3|66:numeric|min=1",
                1,
                "tag \"66:numeric\": variations such as \"numeric\" are not simulated",
            ),
            ("1.3.1|2|1\n1.3.2|2", 2, "not OID|TAG|VALUE"),
            ("\n\nx|2|1", 3, "\"x\": an OID is numbers"),
            ("1.3.1|2|2147483648", 1, "\"2147483648\" is not an integer of 32 bits"),
            ("1.3.1|66|-1", 1, "\"-1\" is not a whole number below 2^32"),
            ("1.3.1|4x|abc", 1, "\"abc\" is not pairs"),
            ("1.3.1|5|x", 1, "a Null has no value"),
            ("1.3.1|64|1.2.3", 1, "\"1.2.3\" is not an IPv4 address"),
            ("1.3.1|99|1", 1, "tag \"99\" is none of"),
            ("1.3.1|2|1\n.1.3.1|2|2", 2, "1.3.1 stands there twice"),
        ];
        for (content, line, start) in cases {
            let (found, reason) = parse(content.as_bytes()).unwrap_err();
            assert_eq!(found, line, "{content:?}");
            assert!(reason.starts_with(start), "{reason}");
        }
    }
}
