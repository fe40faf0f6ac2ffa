//! One switch: from a request to its answer, by the rules of RFC 1157 (v1) and RFC 3416 (v2c, v3).

use super::drift::Drift;
use super::flaw::Flaws;
use super::message::{Operation, Request, Status, Version};
use super::mib::Mib;
use super::oid::Oid;
use super::value::{Answer, Value};
use std::time::Duration;

/// Bytes by which the lengths of the two sequences around the bindings may grow as these fill.
const LENGTH_GROWTH: usize = 2 * 2;

/// A switch.
#[derive(Debug)]
pub(crate) struct Agent {
    mib: Mib,
    drift: Option<Drift>,
    flaws: Flaws,
}

impl Agent {
    /// With these rows, which stand still without `drift`.
    pub(crate) fn new(mut mib: Mib, drift: Option<Drift>, flaws: Flaws) -> Agent {
        flaws.falsify(&mut mib);
        Agent { mib, drift, flaws }
    }

    /// The PDU that answers a request, `elapsed` after the simulation's start.
    pub(crate) fn answer(&self, request: &Request<'_>, elapsed: Duration) -> Vec<u8> {
        if self.flaws.refuses(request) {
            return fail(request, Status::TooBig, 0);
        }
        match request.operation {
            Operation::Get => each(request, |name| (name, self.get(name, request.version, elapsed))),
            Operation::GetNext => each(request, |name| self.next(name, request.version, elapsed)),
            Operation::GetBulk { non_repeaters, max_repetitions } => {
                self.bulk(request, non_repeaters, max_repetitions, elapsed)
            }
            Operation::Set => refuse(request),
        }
    }

    fn get(&self, name: &Oid, version: Version, elapsed: Duration) -> Answer {
        match self.mib.get(name.arcs()) {
            Ok(value) if !carries(version, value) => Answer::NoSuchInstance,
            Ok(value) => Answer::Value(self.now(name, value, elapsed)),
            Err(missing) => missing,
        }
    }

    fn next<'a>(&'a self, name: &'a Oid, version: Version, elapsed: Duration) -> (&'a Oid, Answer) {
        let mut wrong_then_right =
            self.flaws.astray(&self.mib, name).into_iter().chain(self.mib.after(name.arcs()));
        match wrong_then_right.find(|(_, value)| carries(version, value)) {
            Some((row, value)) => (row, Answer::Value(self.now(row, value, elapsed))),
            None => (name, Answer::EndOfMibView),
        }
    }

    fn now(&self, name: &Oid, value: &Value, elapsed: Duration) -> Value {
        self.drift.map_or_else(|| value.clone(), |drift| drift.apply(name, value, elapsed))
    }

    fn bulk(
        &self,
        request: &Request<'_>,
        non_repeaters: usize,
        max_repetitions: usize,
        at: Duration,
    ) -> Vec<u8> {
        let mut reply = Reply::new(request);
        let (once, repeated) = request.names.split_at(non_repeaters.min(request.names.len()));
        for name in once {
            let (row, answer) = self.next(name, request.version, at);
            if !reply.push(row, &answer) {
                return reply.cut();
            }
        }
        let mut cursors: Vec<&Oid> = repeated.iter().collect();
        // Every round fills the reply further, so its limit also limits `max_repetitions`.
        for _ in 0..max_repetitions {
            let mut all_ended = true;
            for cursor in &mut cursors {
                let (row, answer) = self.next(cursor, request.version, at);
                if !reply.push(row, &answer) {
                    return reply.cut();
                }
                all_ended &= answer == Answer::EndOfMibView;
                *cursor = row;
            }
            if all_ended {
                break;
            }
        }
        reply.finish()
    }
}

/// An answer under construction.
struct Reply<'r, 'a> {
    request: &'r Request<'a>,
    bindings: Vec<u8>,
    bindings_max: usize,
}

impl<'r, 'a> Reply<'r, 'a> {
    fn new(request: &'r Request<'a>) -> Reply<'r, 'a> {
        let around = request.respond(Status::NoError, 0, &[]).len() + LENGTH_GROWTH;
        Reply { request, bindings: Vec::new(), bindings_max: request.answer_bytes_max.saturating_sub(around) }
    }

    /// Adds a binding, or leaves all as it was and says false where it does not fit.
    fn push(&mut self, name: &Oid, answer: &Answer) -> bool {
        let before = self.bindings.len();
        answer.put(name, &mut self.bindings);
        let fits = self.bindings.len() <= self.bindings_max;
        if !fits {
            self.bindings.truncate(before);
        }
        fits
    }

    fn finish(self) -> Vec<u8> {
        self.request.respond(Status::NoError, 0, &self.bindings)
    }

    /// What fitted of a bulk answer. With nothing in it, it would send the client round in circles.
    fn cut(self) -> Vec<u8> {
        if self.bindings.is_empty() { fail(self.request, Status::TooBig, 0) } else { self.finish() }
    }
}

/// One binding for each name, all or none.
fn each<'r>(request: &'r Request<'_>, lookup: impl Fn(&'r Oid) -> (&'r Oid, Answer)) -> Vec<u8> {
    let mut reply = Reply::new(request);
    for (i, name) in request.names.iter().enumerate() {
        let (row, answer) = lookup(name);
        if request.version == Version::V1 && !matches!(answer, Answer::Value(_)) {
            return fail(request, Status::NoSuchName, i + 1);
        }
        if !reply.push(row, &answer) {
            return fail(request, Status::TooBig, 0);
        }
    }
    reply.finish()
}

fn refuse(request: &Request<'_>) -> Vec<u8> {
    match (request.names.is_empty(), request.version) {
        (true, _) => request.respond(Status::NoError, 0, &[]),
        (false, Version::V1) => fail(request, Status::ReadOnly, 1),
        (false, Version::V2c | Version::V3) => fail(request, Status::NotWritable, 1),
    }
}

/// An error with the bindings of the request, except that only v1 has them beside tooBig (RFC 3416, 4.2.1).
pub(crate) fn fail(request: &Request<'_>, status: Status, index: usize) -> Vec<u8> {
    if status == Status::TooBig && request.version != Version::V1 {
        return request.respond(status, index, &[]);
    }
    let full = request.respond(status, index, request.bindings);
    // Only a request that is itself over the limit comes to this.
    if full.len() > request.answer_bytes_max { request.respond(status, index, &[]) } else { full }
}

/// v1 has no Counter64; such rows are not there for it (RFC 3584, section 4.2.2.1).
fn carries(version: Version, value: &Value) -> bool {
    !matches!((version, value), (Version::V1, Value::Counter64(_)))
}

#[cfg(test)]
mod tests {
    use super::super::ber::{Reader, tag};
    use super::super::community::{open, tests::question};
    use super::super::message::DATAGRAM_BYTES_MAX;
    use super::super::model::Model;
    use super::*;
    use std::collections::BTreeMap;

    const GET: u8 = 0xa0;
    const GET_NEXT: u8 = 0xa1;
    const SET: u8 = 0xa3;
    const GET_BULK: u8 = 0xa5;

    /// An answer taken apart: its status, its index, and name with tag of each binding.
    #[derive(Debug, PartialEq)]
    struct Seen {
        status: i32,
        index: i32,
        rows: Vec<(String, u8)>,
    }

    fn answer(agent: &Agent, datagram: &[u8]) -> Vec<u8> {
        let (envelope, request) = open(datagram).unwrap();
        envelope.seal(&agent.answer(&request, Duration::ZERO))
    }

    fn ask(agent: &Agent, datagram: &[u8]) -> Seen {
        let answer = answer(agent, datagram);
        assert!(answer.len() <= DATAGRAM_BYTES_MAX, "{}", answer.len());
        let mut message = Reader::new(Reader::new(&answer).tagged(tag::SEQUENCE).unwrap());
        message.integer().unwrap();
        assert_eq!(message.tagged(tag::OCTETS).unwrap(), b"public");
        let mut pdu = Reader::new(message.tagged(0xa2).unwrap());
        assert_eq!(pdu.integer(), Ok(77));
        let (status, index) = (pdu.integer().unwrap(), pdu.integer().unwrap());
        let mut list = Reader::new(pdu.tagged(tag::SEQUENCE).unwrap());
        let mut rows = Vec::new();
        while !list.is_empty() {
            let mut binding = Reader::new(list.tagged(tag::SEQUENCE).unwrap());
            rows.push((binding.oid().unwrap().to_string(), binding.element().unwrap().0));
        }
        Seen { status, index, rows }
    }

    fn seen(status: i32, index: i32, rows: &[(&str, u8)]) -> Seen {
        Seen { status, index, rows: rows.iter().map(|&(name, tag)| (name.into(), tag)).collect() }
    }

    fn small() -> Agent {
        let rows: [(&str, Value); 5] = [
            ("1.3.1.1", Value::Integer(1)),
            ("1.3.1.2", Value::Counter64(2)),
            ("1.3.2.1", Value::text("three")),
            ("1.3.2.10", Value::Unsigned32(4)),
            ("1.3.9.1", Value::text(&"x".repeat(1400))),
        ];
        let rows: BTreeMap<Oid, Value> = rows.into_iter().map(|(n, v)| (n.parse().unwrap(), v)).collect();
        Agent::new(Mib::new(rows), None, Flaws::default())
    }

    #[test]
    fn get_in_v2c_tells_each_name_apart() {
        let datagram = question(1, GET, 0, 0, &["1.3.1.1", "1.3.1.9", "1.3.7.0"]);
        let expected = seen(0, 0, &[("1.3.1.1", 0x02), ("1.3.1.9", 0x81), ("1.3.7.0", 0x80)]);
        assert_eq!(ask(&small(), &datagram), expected);
    }

    #[test]
    fn get_in_v1_fails_as_a_whole() {
        let nulls = [("1.3.1.1", 0x05), ("1.3.1.9", 0x05)];
        assert_eq!(ask(&small(), &question(0, GET, 0, 0, &["1.3.1.1", "1.3.1.9"])), seen(2, 2, &nulls));
        let next = ask(&small(), &question(0, GET_NEXT, 0, 0, &["1.3.9.1"]));
        assert_eq!(next, seen(2, 1, &[("1.3.9.1", 0x05)]));
    }

    #[test]
    fn v1_does_not_see_counter64() {
        assert_eq!(ask(&small(), &question(0, GET, 0, 0, &["1.3.1.2"])), seen(2, 1, &[("1.3.1.2", 0x05)]));
        assert_eq!(
            ask(&small(), &question(0, GET_NEXT, 0, 0, &["1.3.1.1"])),
            seen(0, 0, &[("1.3.2.1", 0x04)])
        );
        assert_eq!(
            ask(&small(), &question(1, GET_NEXT, 0, 0, &["1.3.1.1"])),
            seen(0, 0, &[("1.3.1.2", 0x46)])
        );
    }

    #[test]
    fn a_change_is_refused_in_the_words_of_each_version() {
        let row = [("1.3.1.1", 0x05)];
        assert_eq!(ask(&small(), &question(0, SET, 0, 0, &["1.3.1.1"])), seen(4, 1, &row));
        assert_eq!(ask(&small(), &question(1, SET, 0, 0, &["1.3.1.1"])), seen(17, 1, &row));
    }

    #[test]
    fn one_value_over_the_limit_is_too_big() {
        assert_eq!(ask(&small(), &question(1, GET, 0, 0, &["1.3.9.1"])), seen(1, 0, &[]));
        assert_eq!(ask(&small(), &question(0, GET, 0, 0, &["1.3.9.1"])), seen(1, 0, &[("1.3.9.1", 0x05)]));
        assert_eq!(ask(&small(), &question(1, GET_BULK, 0, 5, &["1.3.2.10"])), seen(1, 0, &[]));
        // With something before it, a bulk answer ends there.
        assert_eq!(
            ask(&small(), &question(1, GET_BULK, 0, 5, &["1.3.2.1"])),
            seen(0, 0, &[("1.3.2.10", 0x42)])
        );
    }

    #[test]
    fn bulk_goes_round_by_round_after_the_non_repeaters() {
        let rows =
            [("1.3.1.1", 0x02), ("1.3.1.2", 0x46), ("1.3.2.1", 0x04), ("1.3.2.1", 0x04), ("1.3.2.10", 0x42)];
        let datagram = question(1, GET_BULK, 1, 2, &["1.3.1", "1.3.1.1", "1.3.1.2"]);
        assert_eq!(ask(&small(), &datagram), seen(0, 0, &rows));
        // No repetitions, or only non-repeaters: like GETNEXT.
        let once = seen(0, 0, &[("1.3.1.1", 0x02)]);
        assert_eq!(ask(&small(), &question(1, GET_BULK, 1, 0, &["1.3.1", "1.3.2"])), once);
        assert_eq!(ask(&small(), &question(1, GET_BULK, 9, 9, &["1.3.1"])), once);
        assert_eq!(ask(&small(), &question(1, GET_BULK, 0, -3, &["1.3.1"])), seen(0, 0, &[]));
        assert_eq!(ask(&small(), &question(1, GET_BULK, 0, i32::MAX, &[])), seen(0, 0, &[]));
    }

    #[test]
    fn bulk_ends_when_all_names_have_ended() {
        let rows = [("1.3.9.1", 0x82), ("1.3.9.9", 0x82)];
        let datagram = question(1, GET_BULK, 0, i32::MAX, &["1.3.9.1", "1.3.9.9"]);
        assert_eq!(ask(&small(), &datagram), seen(0, 0, &rows));
    }

    #[test]
    fn bulk_fills_a_datagram_and_no_more() {
        let agent =
            Agent::new(Model { domain: "d", children: 40, seed: 0 }.switch(1), None, Flaws::default());
        for names in 1..40 {
            let asked = vec!["1.3.6.1.4.1.9.9.683.1.6.1.4"; names];
            let datagram = question(1, GET_BULK, 0, i32::MAX, &asked);
            let length = answer(&agent, &datagram).len();
            // A row here is under 45 bytes.
            assert!((DATAGRAM_BYTES_MAX - 55..=DATAGRAM_BYTES_MAX).contains(&length), "{names}: {length}");
        }
    }

    #[test]
    fn even_an_oversized_question_gets_a_small_answer() {
        let asked = vec!["1.3.6.1.4.1.9.9.683.1.6.1.4.1001"; 200];
        for (version, kind) in [(0, GET), (0, SET), (1, GET), (1, SET), (1, GET_BULK)] {
            ask(&small(), &question(version, kind, 0, 10, &asked));
        }
    }
}
