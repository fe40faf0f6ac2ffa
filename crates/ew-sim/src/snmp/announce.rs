//! The ready sign on stdout: which switches there are, and that they answer.

use super::start::Running;
use serde::Serialize;
use std::io::{self, Write};

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    switches: &'a [Running],
}

/// Writes a line for each switch and then `ready`, or the same as one line of JSON.
pub(crate) fn announce(switches: &[Running], json: bool, out: &mut dyn Write) -> io::Result<()> {
    // Made whole first: a reader of a pipe never sees half a line, and a thousand lines are one write.
    let mut text = Vec::new();
    if json {
        serde_json::to_writer(&mut text, &Document { switches })?;
        writeln!(text)?;
    } else {
        for Running { name, address, community, domain } in switches {
            writeln!(text, "{name} {address} {community} {}", domain.as_deref().unwrap_or("-"))?;
        }
        writeln!(text, "ready")?;
    }
    out.write_all(&text)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switches() -> Vec<Running> {
        let address = "127.0.0.1:16161".parse().unwrap();
        let domain = Some("com.example.hq".to_owned());
        vec![
            Running { name: "sw0001".into(), address, community: "sw0001".into(), domain },
            Running { name: "sw0002".into(), address, community: "sw0002".into(), domain: None },
        ]
    }

    fn told(json: bool) -> String {
        let mut out = Vec::new();
        announce(&switches(), json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_lines() {
        let expected =
            "sw0001 127.0.0.1:16161 sw0001 com.example.hq\nsw0002 127.0.0.1:16161 sw0002 -\nready\n";
        assert_eq!(told(false), expected);
    }

    #[test]
    fn as_one_line_of_json() {
        let expected = concat!(
            r#"{"switches":[{"name":"sw0001","address":"127.0.0.1:16161","community":"sw0001","#,
            r#""domain":"com.example.hq"},{"name":"sw0002","address":"127.0.0.1:16161","#,
            r#""community":"sw0002","domain":null}]}"#,
            "\n"
        );
        assert_eq!(told(true), expected);
    }
}
