//! What a poll found, for people and for `--json`.

use ew_cbus::poll::BusReport;
use ew_cli::{Failure, Output};
use ew_core::{PartOutcome, Timestamp};
use ew_energy::{Domain, DomainReading, EnergyReading, SwitchReading};
use serde::{Serialize, Serializer};

/// `--json`: one document.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport {
    /// The start of the poll, which is the time of every reading.
    #[serde(serialize_with = "time")]
    timestamp: Timestamp,
    pub(crate) domains: Vec<DomainReport>,
    /// Trees that were not polled, or whose readings are not in the log.
    errors: Vec<TreeError>,
    pub(crate) buses: Vec<BusReport>,
    #[serde(skip)]
    pub(crate) bus_rows: Vec<Vec<String>>,
    #[serde(skip)]
    pub(crate) parts: Vec<PartOutcome>,
}

/// Why a tree has no readings in the log.
#[derive(Debug, Serialize)]
struct TreeError {
    domain: String,
    error: String,
}

/// One domain with its sub-domains' power in it.
#[derive(Debug, Serialize)]
pub(crate) struct DomainReport {
    domain: String,
    /// Watts; null where no switch answered.
    value: Option<f64>,
    unit: &'static str,
    quality: &'static str,
    expected: u32,
    answered: u32,
    importance: u32,
    cached: bool,
    switches: Vec<SwitchReport>,
}

/// One switch.
#[derive(Debug, Serialize)]
struct SwitchReport {
    name: String,
    point: Option<String>,
    /// Watts; null where it failed.
    value: Option<f64>,
    unit: &'static str,
    quality: &'static str,
    /// Null where it has none.
    energy: Option<CounterReport>,
    /// What it was read by, also where that was found by asking; null where it failed.
    profile: Option<String>,
    /// Why it failed or is partial.
    reason: Option<String>,
    /// Requests sent, repeated ones included; of a native domain the attempts at this switch.
    requests: u32,
}

/// The energy counter of a switch.
#[derive(Debug, Serialize)]
struct CounterReport {
    point: Option<String>,
    /// As the device counts, Wh.
    value: f64,
    unit: &'static str,
    quality: &'static str,
    /// Why it is suspect or partial.
    reason: Option<String>,
}

impl RunReport {
    pub(crate) fn new(timestamp: Timestamp) -> RunReport {
        RunReport {
            timestamp,
            domains: Vec::new(),
            errors: Vec::new(),
            buses: Vec::new(),
            bus_rows: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Notes what befell a whole tree.
    pub(crate) fn fail(&mut self, domain: &str, failure: &Failure) {
        self.errors.push(TreeError { domain: domain.to_owned(), error: failure.message.clone() });
    }

    /// In the order of the configuration, not in that of the answers.
    pub(crate) fn sort(&mut self, trees: &[&Domain]) {
        let order: Vec<&str> =
            trees.iter().flat_map(|tree| tree.flat()).map(|domain| domain.name.as_str()).collect();
        self.domains.sort_by_key(|report| order.iter().position(|name| *name == report.domain));
    }

    pub(crate) fn table(&self, out: &mut Output) -> Result<(), Failure> {
        let mut table =
            vec![["POINT", "VALUE", "UNIT", "QUALITY", "ANSWERED", "NOTE"].map(str::to_owned).to_vec()];
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| v.to_string());
        for domain in &self.domains {
            table.push(vec![
                domain.domain.clone(),
                number(domain.value),
                domain.unit.to_owned(),
                domain.quality.to_owned(),
                format!("{}/{}", domain.answered, domain.expected),
                if domain.cached { "cached".to_owned() } else { String::new() },
            ]);
            for switch in &domain.switches {
                table.push(vec![
                    switch.point.clone().unwrap_or_else(|| switch.name.clone()),
                    number(switch.value),
                    switch.unit.to_owned(),
                    switch.quality.to_owned(),
                    String::new(),
                    switch.reason.clone().unwrap_or_default(),
                ]);
                table.extend(switch.energy.iter().map(|counter| {
                    vec![
                        counter.point.clone().unwrap_or_else(|| switch.name.clone()),
                        number(Some(counter.value)),
                        counter.unit.to_owned(),
                        counter.quality.to_owned(),
                        String::new(),
                        counter.reason.clone().unwrap_or_default(),
                    ]
                }));
            }
        }
        // A bus has no switches that answer.
        table.extend(self.bus_rows.iter().cloned().map(|mut row| {
            row.insert(4, String::new());
            row
        }));
        out.table(&table)
    }
}

impl DomainReport {
    pub(crate) fn of(reading: &DomainReading) -> DomainReport {
        DomainReport {
            domain: reading.name.clone(),
            value: reading.total.value,
            unit: "W",
            quality: reading.total.quality.as_str(),
            expected: reading.total.expected,
            answered: reading.total.answered,
            importance: reading.importance,
            cached: reading.cached,
            switches: reading.switches.iter().map(SwitchReport::of).collect(),
        }
    }
}

impl SwitchReport {
    fn of(reading: &SwitchReading) -> SwitchReport {
        SwitchReport {
            name: reading.name.clone(),
            point: reading.point.as_ref().map(|point| point.to_string()),
            value: reading.value,
            unit: "W",
            quality: reading.quality.as_str(),
            energy: reading.energy.iter().find(|counter| counter.part.is_none()).map(CounterReport::of),
            profile: reading.profile.clone(),
            reason: reading.reason(),
            requests: reading.requests,
        }
    }
}

impl CounterReport {
    fn of(counter: &EnergyReading) -> CounterReport {
        CounterReport {
            point: counter.point.as_ref().map(|point| point.to_string()),
            value: counter.wh,
            unit: "Wh",
            quality: counter.quality.as_str(),
            reason: counter.reason.clone(),
        }
    }
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
