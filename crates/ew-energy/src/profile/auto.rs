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
    let known = memory.and_then(|memory| profiles.iter().find(|profile| profile.name == memory.profile));
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
