//! Agents that lie: what they send is bounded, the reason says what it was, and the log has them missing.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/peer.rs"]
mod peer;

use ew::Site;
use ew_energy::wire::secure;
use peer::{
    Asked, Cell, ENT_ENTRY, GAUGE32, INTEGER, OCTETS, Peer, SEQUENCE, honest, integer, response, table, tlv,
};
use std::net::UdpSocket;

const EW_POLL: &str = env!("CARGO_BIN_EXE_ew-poll");
const DOMAIN: &str = "com.a";

/// One agent, and how its reason must read.
struct Case {
    name: &'static str,
    peer: Peer,
    keys: &'static str,
    /// None: it is read after all, as 10 W.
    reason: Option<&'static str>,
}

fn case(
    name: &'static str,
    reason: &'static str,
    answer: impl FnMut(&Asked) -> Vec<Vec<u8>> + Send + 'static,
) -> Case {
    Case { name, peer: Peer::start(answer), keys: "", reason: Some(reason) }
}

/// Answers as it should.
fn right(asked: &Asked) -> Vec<u8> {
    response(asked.pdu.request_id, &honest(asked, &table(DOMAIN, 1)))
}

/// Answers as it should, but for one cell of its table.
fn with(place: &'static [u32], value: Vec<u8>) -> impl FnMut(&Asked) -> Vec<Vec<u8>> + Send + 'static {
    let cells = table(DOMAIN, 1).into_iter().map(move |(object, old)| match object.ends_with(place) {
        true => (object, value.clone()),
        false => (object, old),
    });
    let cells: Vec<Cell> = cells.collect();
    move |asked: &Asked| vec![response(asked.pdu.request_id, &honest(asked, &cells))]
}

/// Each column asked for goes on for ever.
fn endless(
    name: impl Fn(u32) -> Vec<u8> + Send + 'static,
) -> impl FnMut(&Asked) -> Vec<Vec<u8>> + Send + 'static {
    move |asked: &Asked| {
        let (scalars, columns) = asked.pdu.varbinds.split_at(asked.pdu.status as usize);
        let mut cells: Vec<Cell> =
            scalars.iter().map(|_| (peer::DOMAIN_NAME.to_vec(), tlv(OCTETS, DOMAIN.as_bytes()))).collect();
        for row in 1..=asked.pdu.index as u32 {
            for column in columns {
                let numbers = column.oid.numbers();
                let (entry, rest) = numbers.split_at(ENT_ENTRY.len() + 1);
                let index = rest.first().unwrap_or(&0) + row;
                let value = if entry.ends_with(&[4]) { name(index) } else { integer(1) };
                cells.push(([entry, &[index]].concat(), value));
            }
        }
        vec![response(asked.pdu.request_id, &cells)]
    }
}

fn community_cases() -> Vec<Case> {
    let elsewhere = UdpSocket::bind("127.0.0.2:0").unwrap();
    let again = |cells: Vec<Cell>| {
        move |asked: &Asked| {
            let wanted = honest(asked, &table(DOMAIN, 1)).into_iter().take(1);
            vec![response(asked.pdu.request_id, &wanted.chain(cells.clone()).collect::<Vec<_>>())]
        }
    };
    let column = |number: u32, index: u32| [ENT_ENTRY, &[number, index]].concat();
    let mut cases = vec![
        case("wrong-address", "no answer from 127.0.0.1:.* silence for 300ms (attempts: 2)", move |asked| {
            elsewhere.send_to(&right(asked), asked.from).unwrap();
            Vec::new()
        }),
        case("wrong-id", "silence for 300ms, but for answers to other requests: 1", |asked| {
            vec![response(asked.pdu.request_id ^ 1, &honest(asked, &table(DOMAIN, 1)))]
        }),
        case("truncated", "broke the protocol at cewDomainName.0: the message is cut off", |asked| {
            let whole = right(asked);
            vec![whole[..whole.len() / 2].to_vec()]
        }),
        case("giant-length", "the message is cut off", |_| {
            vec![vec![SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff, 2]]
        }),
        case(
            "inner-length",
            "a value is cut off",
            with(&[8, 1], vec![GAUGE32, 0x84, 0x7f, 0xff, 0xff, 0xff]),
        ),
        case("no-bytes", "the message is cut off", |_| vec![Vec::new()]),
        case("noise", "the message has the tag 0x61, not 0x30", |_| vec![vec![b'a'; 65_507]]),
        case("flood", "the message is cut off", |_| vec![vec![b'a'; 9]; 2_000]),
        case("version", "the message is of version 0, not 1", |asked| {
            let mut datagram = right(asked);
            let place = datagram.iter().position(|byte| *byte == INTEGER).unwrap();
            datagram[place + 5] = 0;
            vec![datagram]
        }),
        case("request", "what came is no response", |asked| {
            let pdu = peer::response_pdu(0xa0, asked.pdu.request_id, 0, &[]);
            vec![tlv(SEQUENCE, &[integer(1), tlv(OCTETS, b"public"), pdu].concat())]
        }),
        case("negative", "entity 1 has the usage -1, outside 0 to 2147483647", with(&[8, 1], integer(-1))),
        case(
            "giant",
            "entity 1 has the usage 1099511627775, outside 0 to 2147483647",
            with(&[8, 1], tlv(GAUGE32, &[0, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ),
        case("wide", "683.1.6.1.8.1 is a number of 9 bytes", with(&[8, 1], tlv(INTEGER, &[1; 9]))),
        case("no-number", "683.1.6.1.8.1 is a number of 0 bytes", with(&[8, 1], tlv(INTEGER, &[]))),
        case("tag", "683.1.6.1.8.1 has a value of the unknown tag 0x7f", with(&[8, 1], tlv(0x7f, &[1]))),
        case("long-name", "683.1.6.1.4.1 is a text of 60000 bytes, above 1024", {
            with(&[4, 1], tlv(OCTETS, &[b'n'; 60_000]))
        }),
        case("long-domain", "683.1.3.0 is a text of 60000 bytes, above 1024", {
            with(&[3, 0], tlv(OCTETS, &[b'd'; 60_000]))
        }),
        case("endless", "at cewEntTable: it has more than 20000 rows", endless(|_| tlv(OCTETS, b"n"))),
        case("endless-text", "at cewEntTable: it has more than 1048576 bytes of text", {
            endless(|_| tlv(OCTETS, &[b'n'; 300]))
        }),
        case("other-object", "cewDomainName.0: it has no such object", |asked| {
            vec![response(asked.pdu.request_id, &[(vec![1, 3, 6, 1, 9], integer(1))])]
        }),
        case("backwards", "at cewEntTable: 1.3.6.1.2.1.1.1.0 does not follow 1.3.6.1.4.1.9.9.683.1.6.1.4", {
            again(vec![(vec![1, 3, 6, 1, 2, 1, 1, 1, 0], integer(1))])
        }),
        case("circle", "683.1.6.1.4.7 does not follow 1.3.6.1.4.1.9.9.683.1.6.1.4.7", {
            let row = [4, 7, 8, 9, 20].map(|number| (column(number, 7), integer(1)));
            again([row.clone(), row].concat())
        }),
        case("nothing", "it gave 0 values for 1", |asked| vec![response(asked.pdu.request_id, &[])]),
        case("unknown-error", "with the error of an unknown number", |asked| {
            vec![peer::failing(asked.pdu.request_id, 99, &[])]
        }),
        case("too-big", "answered cewDomainName.0 with the error tooBig", |asked| {
            vec![peer::failing(asked.pdu.request_id, 1, &[])]
        }),
    ];
    // A right answer among wrong ones counts.
    let mut read = |name, answer: fn(&Asked) -> Vec<Vec<u8>>| {
        cases.push(Case { name, peer: Peer::start(answer), keys: "", reason: None });
    };
    read("stale-then-right", |asked| {
        vec![response(asked.pdu.request_id - 1, &honest(asked, &table(DOMAIN, 5))), right(asked)]
    });
    read("noise-then-right", |asked| vec![vec![0x30], b"hello".to_vec(), Vec::new(), right(asked)]);
    read("right-many-times", |asked| vec![right(asked); 50]);
    cases
}

/// A report, or whatever PDU, of SNMPv3, not signed.
fn unsigned(asked: &Asked, engine_id: &[u8], kind: u8, cells: &[Cell]) -> Vec<u8> {
    let header = secure::Header {
        id: asked.header.id,
        engine_id: engine_id.to_vec(),
        boots: 1,
        time: 1,
        user: asked.header.user.clone(),
        ..secure::Header::default()
    };
    let pdu = peer::response_pdu(kind, asked.header.id, 0, cells);
    let scoped = tlv(SEQUENCE, &[tlv(OCTETS, engine_id), tlv(OCTETS, b""), pdu].concat());
    secure::seal(&header, 0, &scoped)
}

const ENGINE_ID: &[u8] = b"\x80\0\0\0\x05hostile";
const UNKNOWN_ENGINE: &[u32] = &[1, 3, 6, 1, 6, 3, 15, 1, 1, 4, 0];
const NOT_IN_TIME: &[u32] = &[1, 3, 6, 1, 6, 3, 15, 1, 1, 2, 0];
const REPORT: u8 = 0xa8;
const V3: &str = "version = \"3\"\nuser = \"u\"\nauth = \"sha\"\nauth_password = \"authpass123\"\n\
    priv = \"aes\"\npriv_password = \"privpass123\"\n";

fn secure_case(
    name: &'static str,
    reason: &'static str,
    mut then: impl FnMut(&Asked) -> Vec<u8> + Send + 'static,
) -> Case {
    let answer = move |asked: &Asked| match asked.header.engine_id.is_empty() {
        true => vec![unsigned(asked, ENGINE_ID, REPORT, &[(UNKNOWN_ENGINE.to_vec(), integer(1))])],
        false => vec![then(asked)],
    };
    Case { name, peer: Peer::start(answer), keys: V3, reason: Some(reason) }
}

fn secure_cases() -> Vec<Case> {
    let no_engine =
        |asked: &Asked| vec![unsigned(asked, b"", REPORT, &[(UNKNOWN_ENGINE.to_vec(), integer(1))])];
    let long_engine =
        |asked: &Asked| vec![unsigned(asked, &[7; 33], REPORT, &[(UNKNOWN_ENGINE.to_vec(), integer(1))])];
    let peer = |answer: fn(&Asked) -> Vec<Vec<u8>>| Peer::start(answer);
    let reason = Some("it does not tell its engine id");
    vec![
        Case { name: "no-engine-id", peer: peer(no_engine), keys: V3, reason },
        Case {
            name: "long-engine-id",
            peer: peer(long_engine),
            keys: V3,
            reason: Some("the engine id has 33 bytes"),
        },
        secure_case("never-in-time", "it asks for one repetition after the other", |asked| {
            unsigned(asked, ENGINE_ID, REPORT, &[(NOT_IN_TIME.to_vec(), integer(1))])
        }),
        secure_case("not-signed", "the answer is not signed and encrypted as the request was", |asked| {
            unsigned(asked, ENGINE_ID, 0xa2, &table(DOMAIN, 1))
        }),
        secure_case("wrongly-signed", "the signature of its answer is wrong", |asked| {
            let header = secure::Header { flags: secure::SIGNED, boots: 1, time: 1, ..asked.header.clone() };
            secure::seal(&header, 12, &tlv(SEQUENCE, &[]))
        }),
        secure_case("empty-report", "its report gives no reason", |asked| {
            unsigned(asked, ENGINE_ID, REPORT, &[])
        }),
        secure_case("odd-report", "refused cewDomainName.0: its report is 1.3.6.1", |asked| {
            unsigned(asked, ENGINE_ID, REPORT, &[(vec![1, 3, 6, 1], integer(1))])
        }),
    ]
}

/// `.*` stands for anything.
fn reads(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split(".*").all(|part| rest.find(part).map(|at| rest = &rest[at + part.len()..]).is_some())
}

#[test]
fn hostile_agents_are_bounded_named_and_missing() {
    let cases: Vec<Case> = community_cases().into_iter().chain(secure_cases()).collect();
    let mut config = format!(
        "[snmp]\ntimeout = \"300ms\"\nretries = 1\nmax_repetitions = 100\n\
         [[domain]]\nname = \"{DOMAIN}\"\nentities = true\n"
    );
    for Case { name, peer, keys, .. } in &cases {
        config += &format!(
            "[[domain.switch]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nport = {}\n{keys}",
            peer.port()
        );
    }
    let mut site = Site::new(&config);
    site.now("2026-03-01T00:00:00Z");
    let ended = site.run(EW_POLL, "--json").exit(1);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let log = site.run(ew::sibling(EW_POLL, "ew-log").to_str().unwrap(), "slice --from first --to last");
    let log = log.exit(0).stdout;
    for (case, switch) in cases.iter().zip(report["domains"][0]["switches"].as_array().unwrap()) {
        let row = format!("2026-03-01T00:00:00Z,{DOMAIN}.{},", case.name);
        let row = log.lines().find_map(|line| line.strip_prefix(row.as_str())).unwrap();
        match case.reason {
            Some(pattern) => {
                let reason = switch["reason"].as_str().unwrap_or("none");
                assert!(reads(reason, pattern) && reason.len() < 300, "{}: {reason}", case.name);
                assert_eq!((switch["value"].is_null(), row), (true, ",W,missing"), "{}", case.name);
            }
            None => {
                assert_eq!(
                    (switch["value"].as_f64(), row),
                    (Some(10.0), "10,W,actual"),
                    "{}: {switch}",
                    case.name
                );
                assert_eq!(switch["requests"], 1, "{}", case.name);
            }
        }
    }
    let answered = cases.iter().filter(|case| case.reason.is_none()).count();
    assert_eq!(report["domains"][0]["value"].as_f64(), Some(10.0 * answered as f64), "{report:#}");
}
