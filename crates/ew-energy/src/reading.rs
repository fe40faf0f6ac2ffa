//! What a poll found: values by domain, switch and entity, and the samples they make.

use crate::energy::ENERGY_PART;
use crate::{EnergyError, EnergyReading, Memory, Sum, Switch};
use ew_core::{Exit, Point, Quality, Sample, Timestamp};
use std::collections::HashSet;

const POWER_UNIT: &str = "W";
const ENERGY_UNIT: &str = "Wh";
/// A reason names so many rows that were left out.
const SKIPPED_SHOWN_MAX: usize = 5;

/// A domain's last total, still good: it is used instead of asking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachedTotal {
    /// Watts; none where nothing answered.
    pub value: Option<f64>,
    /// How good.
    pub quality: Quality,
    /// Switches in the domain and below it.
    pub expected: u32,
    /// How many of them are in the value.
    pub answered: u32,
}

/// A domain's sum with its sub-domains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    /// Watts; none where there was something to ask and nothing answered.
    pub value: Option<f64>,
    /// The worst of its parts; `partial` where some did not answer or were partial, `missing` with no
    /// value, `unknown` where there is nothing to ask.
    pub quality: Quality,
    /// Switches in the domain and below it.
    pub expected: u32,
    /// How many of them are in the value.
    pub answered: u32,
}

/// A domain as one poll saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainReading {
    /// Dotted name.
    pub name: String,
    /// Its point; none where the name is no point.
    pub point: Option<Point>,
    /// Which entities were asked for.
    pub importance: u32,
    /// The total is an earlier one, so nothing is to be appended.
    pub cached: bool,
    /// With its sub-domains.
    pub total: Total,
    /// In the order configured; empty when cached.
    pub switches: Vec<SwitchReading>,
}

/// A switch as one poll saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchReading {
    /// As configured.
    pub name: String,
    /// Its point; none where no name for it is left, see the warnings.
    pub point: Option<Point>,
    /// Watts; none where it failed.
    pub value: Option<f64>,
    /// `missing` where it failed.
    pub quality: Quality,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Rows left out of the value, each with its reason.
    pub skipped: Vec<String>,
    /// Requests sent, repeated ones included; of a native domain the attempts at this switch.
    pub requests: u32,
    /// What it was read by, also where that is found by asking; none where it failed.
    pub profile: Option<String>,
    /// Its energy counters, then those of its entities.
    pub energy: Vec<EnergyReading>,
    /// What the next poll should know of it; none where that is what this one knew.
    pub memory: Option<Memory>,
    /// Its entities, whether logged or not.
    pub entities: Vec<EntityReading>,
    /// The entities' points in the same order; empty unless the domain logs entities.
    pub entity_points: Vec<Option<Point>>,
}

/// An entity of a switch.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityReading {
    /// `entPhysicalIndex`.
    pub index: u32,
    /// Its part of the point's name.
    pub part: String,
    /// Watts.
    pub watts: f64,
    /// From its caliber.
    pub quality: Quality,
    /// It gives this power, and is not in the switch's sum.
    pub producer: bool,
}

/// Why a switch has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line, without the hint.
    pub reason: String,
    /// What to do next.
    pub hint: String,
    /// What a run of nothing but this would end with.
    pub exit: Exit,
}

impl From<EnergyError> for Failure {
    fn from(error: EnergyError) -> Failure {
        Failure { reason: error.to_string(), hint: error.hint(), exit: error.exit() }
    }
}

/// One tree, whole: to be committed at once.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeReading {
    /// The start of the poll, the one timestamp of all its samples.
    pub start: Timestamp,
    /// The root first, each domain before its children.
    pub domains: Vec<DomainReading>,
    /// Points that two sources gave; switches of a native domain that did not answer for it.
    pub warnings: Vec<String>,
    /// What only a person cares for who looks for a fault.
    pub details: Vec<String>,
}

/// A sample and what is stored beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The sample.
    pub sample: Sample,
    /// Beside it.
    pub detail: Detail,
}

/// What a log keeps beside a sample; empty for entities.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Detail {
    /// Of a domain: the switches in it and below it.
    pub expected: Option<u32>,
    /// Of a domain: how many of them are in the value.
    pub answered: Option<u32>,
    /// Of a domain: which entities were asked for.
    pub importance: Option<u32>,
    /// Of a switch that failed or is partial, and of a counter that is not to be trusted: why.
    pub reason: Option<String>,
    /// Of a switch: what the next poll should know.
    pub memory: Option<Memory>,
}

impl TreeReading {
    /// The name of the tree's topmost domain.
    pub fn root(&self) -> &str {
        self.domains.first().map_or("", |domain| &domain.name)
    }

    /// Every switch asked, with its domain.
    pub fn switches(&self) -> impl Iterator<Item = (&DomainReading, &SwitchReading)> {
        self.domains.iter().flat_map(|domain| domain.switches.iter().map(move |switch| (domain, switch)))
    }

    /// Marks every value as taken on a doubtful clock. What is missing stays missing.
    pub fn suspect(&mut self) {
        for domain in self.domains.iter_mut().filter(|domain| !domain.cached) {
            if domain.total.value.is_some() {
                domain.total.quality = Quality::Suspect;
            }
            for switch in &mut domain.switches {
                if switch.value.is_some() {
                    switch.quality = Quality::Suspect;
                }
                switch.entities.iter_mut().for_each(|entity| entity.quality = Quality::Suspect);
                switch.energy.iter_mut().for_each(|counter| counter.quality = Quality::Suspect);
            }
        }
    }

    /// Every domain has an earlier total, so nothing is to be appended.
    pub fn is_cached(&self) -> bool {
        self.domains.iter().all(|domain| domain.cached)
    }

    /// What to append as of a time, the start of the poll: domains that are not cached, their switches, and entities
    /// where they are logged.
    pub fn entries(&self, start: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut add = |point: &Option<Point>, value: Option<f64>, unit, quality, detail| {
            // A sum of readings is finite, so there is always a sample.
            let sample = point.clone().map(|point| Sample::new(start, point, value, unit, quality));
            entries.extend(sample.and_then(Result::ok).map(|sample| Entry { sample, detail }));
        };
        for domain in self.domains.iter().filter(|domain| !domain.cached) {
            let detail = Detail {
                expected: Some(domain.total.expected),
                answered: Some(domain.total.answered),
                importance: Some(domain.importance),
                ..Detail::default()
            };
            add(&domain.point, domain.total.value, POWER_UNIT, domain.total.quality, detail);
            for switch in &domain.switches {
                let detail =
                    Detail { reason: switch.reason(), memory: switch.memory.clone(), ..Detail::default() };
                add(&switch.point, switch.value, POWER_UNIT, switch.quality, detail);
                for (entity, point) in switch.entities.iter().zip(&switch.entity_points) {
                    add(point, Some(entity.watts), POWER_UNIT, entity.quality, Detail::default());
                }
                for counter in &switch.energy {
                    let detail = Detail { reason: counter.reason.clone(), ..Detail::default() };
                    add(&counter.point, Some(counter.wh), ENERGY_UNIT, counter.quality, detail);
                }
            }
        }
        entries
    }

    /// The samples alone.
    pub fn samples(&self) -> Vec<Sample> {
        self.entries(self.start).into_iter().map(|entry| entry.sample).collect()
    }
}

/// The first few of many reasons, and how many more there are.
pub(crate) fn some_of<'a>(mut reasons: impl ExactSizeIterator<Item = &'a str>) -> String {
    let shown: Vec<&str> = reasons.by_ref().take(SKIPPED_SHOWN_MAX).collect();
    let more = reasons.len();
    let shown = shown.join("; ");
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

impl SwitchReading {
    /// Gives its own counter the point `<switch>.energy`, or those of its entities `<switch>.<entity>.energy`.
    pub(crate) fn claim_energy(&mut self, points: &mut Points, of_entities: bool) {
        let Some(own) = &self.point else { return };
        for counter in self.energy.iter_mut().filter(|counter| counter.part.is_some() == of_entities) {
            let above = match &counter.part {
                None => Some(own.clone()),
                // An entity may have another point than its name says.
                Some(part) => {
                    let same = |entity: &EntityReading| entity.part == *part && entity.index == counter.index;
                    let place = self.entities.iter().position(same);
                    let point = place.and_then(|place| self.entity_points.get(place).cloned().flatten());
                    point.or_else(|| format!("{own}.{part}").parse().ok())
                }
            };
            counter.point = above.and_then(|above| points.claim(Some(&above), ENERGY_PART, counter.index));
            if let (Some(point), Some(reason), Quality::Suspect) =
                (&counter.point, &counter.reason, counter.quality)
            {
                points.warnings.push(format!("{point}: {reason}"));
            }
        }
    }

    /// Nothing is known of the switch yet.
    pub(crate) fn of(switch: &Switch) -> SwitchReading {
        SwitchReading {
            name: switch.name.clone(),
            point: None,
            value: None,
            quality: Quality::Missing,
            failure: None,
            skipped: Vec::new(),
            requests: 0,
            profile: None,
            energy: Vec::new(),
            memory: None,
            entities: Vec::new(),
            entity_points: Vec::new(),
        }
    }

    /// Why there is no value, or not a whole one.
    pub fn reason(&self) -> Option<String> {
        match &self.failure {
            Some(failure) => Some(failure.reason.clone()),
            None => {
                let reason = some_of(self.skipped.iter().map(String::as_str));
                (!reason.is_empty()).then_some(reason)
            }
        }
    }
}

/// A total in the making.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts {
    sum: Sum,
    expected: u32,
    answered: u32,
    worst: Option<Quality>,
}

impl Parts {
    pub(crate) fn add(&mut self, part: &Total) {
        self.expected += part.expected;
        self.answered += part.answered;
        // Of a sub-domain without switches the quality says nothing.
        if let (Some(value), 1..) = (part.value, part.answered) {
            self.sum.add(value);
            self.worst = self.worst.max(Some(part.quality));
        }
    }

    pub(crate) fn total(self) -> Total {
        let Parts { expected, answered, .. } = self;
        let (value, quality) = match self.worst {
            _ if expected == 0 => (Some(0.0), Quality::Unknown),
            None => (None, Quality::Missing),
            Some(worst) if answered < expected => (Some(self.sum.value()), worst.max(Quality::Partial)),
            Some(worst) => (Some(self.sum.value()), worst),
        };
        Total { value, quality, expected, answered }
    }
}

impl From<&SwitchReading> for Total {
    fn from(switch: &SwitchReading) -> Total {
        let answered = u32::from(switch.value.is_some());
        Total { value: switch.value, quality: switch.quality, expected: 1, answered }
    }
}

impl From<CachedTotal> for Total {
    fn from(cached: CachedTotal) -> Total {
        let CachedTotal { value, quality, expected, answered } = cached;
        Total { value, quality, expected, answered }
    }
}

/// Gives out the points of one tree, each once.
#[derive(Debug, Default)]
pub(crate) struct Points {
    taken: HashSet<Point>,
    pub(crate) warnings: Vec<String>,
}

impl Points {
    /// `<above>.<part>`, or `<above>.#<index>` with a warning where another source has that already.
    pub(crate) fn claim(&mut self, above: Option<&Point>, part: &str, index: u32) -> Option<Point> {
        let name = |part: &str| match above {
            Some(above) => format!("{above}.{part}"),
            None => part.to_owned(),
        };
        let wanted = name(part);
        let stand_in = name(&format!("#{index}"));
        for candidate in [&wanted, &stand_in] {
            if let Some(point) = candidate.parse::<Point>().ok().filter(|p| self.taken.insert(p.clone())) {
                if candidate != &wanted {
                    self.warnings
                        .push(format!("two sources give the point {wanted}; one is logged as {point}"));
                }
                return Some(point);
            }
        }
        self.warnings.push(format!("no point is left for {wanted}; it is not logged"));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(value: Option<f64>, quality: Quality, expected: u32, answered: u32) -> Total {
        Total { value, quality, expected, answered }
    }

    fn total(parts: &[Total]) -> Total {
        let mut sum = Parts::default();
        parts.iter().for_each(|p| sum.add(p));
        sum.total()
    }

    #[test]
    fn totals_follow_the_contract() {
        use Quality::*;
        let good = part(Some(15.4), Actual, 1, 1);
        let max = part(Some(0.2), Max, 1, 1);
        let partial = part(Some(1.0), Partial, 1, 1);
        let dead = part(None, Missing, 1, 0);
        let empty = part(Some(0.0), Unknown, 0, 0);
        let zero = part(Some(0.0), Trusted, 1, 1);
        for (parts, expect) in [
            (&[][..], part(Some(0.0), Unknown, 0, 0)),
            (&[empty][..], part(Some(0.0), Unknown, 0, 0)),
            (&[good][..], good),
            (&[good, empty], part(Some(15.4), Actual, 1, 1)),
            (&[good, max], part(Some(15.6), Max, 2, 2)),
            (&[good, dead], part(Some(15.4), Partial, 2, 1)),
            (&[zero, dead], part(Some(0.0), Partial, 2, 1)),
            (&[good, partial], part(Some(16.4), Partial, 2, 2)),
            (&[dead, dead], part(None, Missing, 2, 0)),
            (&[empty, dead], part(None, Missing, 1, 0)),
            (&[part(Some(2.0), Partial, 5, 3), part(None, Missing, 2, 0)], part(Some(2.0), Partial, 7, 3)),
            (&[part(Some(2.0), Suspect, 1, 1), dead], part(Some(2.0), Suspect, 2, 1)),
        ] {
            assert_eq!(total(parts), expect, "{parts:?}");
        }
    }

    #[test]
    fn one_point_is_given_once() {
        let mut points = Points::default();
        let domain = points.claim(None, "a.b", 0);
        let first = points.claim(domain.as_ref(), "c", 1);
        assert_eq!(first.unwrap().as_str(), "a.b.c");
        assert!(points.warnings.is_empty());
        assert_eq!(points.claim(domain.as_ref(), "c", 2).unwrap().as_str(), "a.b.#2");
        assert_eq!(points.warnings, ["two sources give the point a.b.c; one is logged as a.b.#2"]);
        assert_eq!(points.claim(domain.as_ref(), "c", 2), None);
        assert_eq!(points.warnings.len(), 2);
    }
}
