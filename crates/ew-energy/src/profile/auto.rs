//! `auto`: which profile an agent has.

use super::{Answer, Profile};
use crate::energywise::Query;
use crate::{Agent, EnergyError, Memory, Oid};

/// An agent is asked for the probes of so many profiles at once; some cannot take more.
const PROBES_MAX: usize = 8;

/// Reads an agent by the profile remembered, or where it no longer has that, by the first that gives power. An
/// agent that merely does not answer keeps its profile.
pub(super) fn read(
    agent: &mut dyn Agent,
    profiles: &[Profile],
    query: &Query<'_>,
    memory: Option<&Memory>,
) -> Result<Answer, EnergyError> {
    let known = memory
        .filter(|memory| memory.peer == agent.peer())
        .and_then(|memory| profiles.iter().find(|profile| profile.name == memory.profile));
    if let Some(profile) = known {
        match profile.read(agent, query, memory) {
            Err(error) if error.is_absence() => {}
            read => return read,
        }
    }
    let tried: Vec<&Profile> = profiles.iter().filter(|profile| profile.auto).collect();
    let mut first_empty = None;
    for batch in tried.chunks(PROBES_MAX) {
        for profile in there(agent, batch)? {
            match profile.read(agent, query, memory) {
                Err(error) if error.is_absence() || error.is_without_data() => {
                    first_empty.get_or_insert(error);
                }
                read => return read,
            }
        }
    }
    // One that has no data just now says more than one that is not there.
    Err(first_empty.unwrap_or_else(|| EnergyError::NoProfile { peer: agent.peer().to_owned() }))
}

/// Those of some profiles that the agent has anything of.
fn there<'a>(agent: &mut dyn Agent, profiles: &[&'a Profile]) -> Result<Vec<&'a Profile>, EnergyError> {
    let mut there = Vec::new();
    let (mut at, mut at_once) = (0, profiles.len());
    while at < profiles.len() {
        let asked = &profiles[at..profiles.len().min(at + at_once)];
        let probes: Vec<Oid> = asked.iter().map(|profile| profile.probe.clone()).collect();
        let found = match agent.get_bulk(&probes, 1, "the probes of profiles") {
            Err(EnergyError::Device { status: "tooBig", .. }) if at_once > 1 => {
                at_once /= 2;
                continue;
            }
            found => found?,
        };
        // An answer may be cut off; what is left of the batch is asked for again.
        let answered = asked.iter().zip(&found);
        there.extend(
            answered.filter(|(profile, next)| next.oid.below(&profile.probe).is_some()).map(|(p, _)| *p),
        );
        at += found.len().clamp(1, asked.len());
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::tests::Fake;
    use crate::{Profiles, Value};

    const QUERY: Query<'_> = Query { domain: None, importance: 100, repetitions: 25, names: false };

    /// A UPS of the standard's table, one line of 400 W.
    fn ups() -> Fake {
        Fake::new([(Oid::new(&[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 4, 1]), Value::Integer(400))])
    }

    #[test]
    fn short_answers_are_asked_for_again() {
        for (fits, requests) in [(usize::MAX, 3), (5, 5), (1, 10)] {
            let mut agent = Fake { fits, ..ups() };
            let answer = Profiles::default().read("auto", &mut agent, &QUERY, None).unwrap();
            assert_eq!((answer.memory.profile.as_str(), answer.usage.watts), ("ups", 400.0));
            assert!(agent.requests >= requests, "{fits}: {}", agent.requests);
        }
    }

    #[test]
    fn an_agent_that_takes_few_objects_at_once_is_asked_for_few() {
        struct Small(Fake);
        impl Agent for Small {
            fn get(&mut self, oid: &Oid, object: &str) -> Result<Value, EnergyError> {
                self.0.get(oid, object)
            }
            fn get_bulk(
                &mut self,
                after: &[Oid],
                repetitions: u32,
                object: &str,
            ) -> Result<Vec<crate::VarBind>, EnergyError> {
                if after.len() > 2 {
                    let (peer, object) = (self.peer().to_owned(), object.to_owned());
                    return Err(EnergyError::Device { peer, object, status: "tooBig" });
                }
                self.0.get_bulk(after, repetitions, object)
            }
            fn requests(&self) -> u32 {
                self.0.requests()
            }
            fn peer(&self) -> &str {
                self.0.peer()
            }
        }
        let answer = Profiles::default().read("auto", &mut Small(ups()), &QUERY, None).unwrap();
        assert_eq!(answer.memory.profile, "ups");
    }

    #[test]
    fn a_user_s_profile_comes_first_unless_it_says_no() {
        let profile = |auto: bool| {
            let text = format!(
                "name = \"mine\"\nauto = {auto}\n[[power]]\nvalue = \"1.3.6.1.2.1.33.1.4.4.1.4\"\nscale = 2"
            );
            Profiles::new(&[toml::from_str(&text).unwrap()])
        };
        for (auto, name, watts) in [(true, "mine", 800.0), (false, "ups", 400.0)] {
            let answer = profile(auto).read("auto", &mut ups(), &QUERY, None).unwrap();
            assert_eq!((answer.memory.profile.as_str(), answer.usage.watts), (name, watts));
        }
    }

    #[test]
    fn what_has_no_data_says_more_than_what_is_not_there() {
        let none = [(Oid::new(&[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 4, 1]), Value::Integer(-1))];
        let error = Profiles::default().read("auto", &mut Fake::new(none), &QUERY, None).unwrap_err();
        assert!(
            matches!(&error, EnergyError::NoData { profile, rows: 1, .. } if profile == "ups"),
            "{error}"
        );
        let error = Profiles::default().read("auto", &mut Fake::new([]), &QUERY, None).unwrap_err();
        assert_eq!(error.to_string(), "fake:161 has nothing that any profile reads power from");
    }
}
