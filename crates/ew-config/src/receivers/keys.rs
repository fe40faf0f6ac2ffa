//! The keys of a `[[receiver]]`.

use crate::options::{Delay, FileSafe};
use ew_core::{Aggregate, Late, NameTemplate, Period, Span, TimeOfDay, Zone};
use ew_transport::Compression;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Held against the types of a job's keys where it is written. What a job gets is the table as it stands, so that the
/// keys of a format or transport are read, with the job's own, by whoever understands them.
#[derive(Debug, Deserialize)]
#[serde(from = "Table")]
pub(crate) struct ReceiverKeys {
    pub(crate) name: String,
    pub(crate) needs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "its values are read for their types alone")]
struct Table {
    name: FileSafe,
    #[serde(default)]
    needs: Vec<String>,
    interval: Option<Period>,
    aggregate: Option<Aggregate>,
    max_gap: Option<Span>,
    period: Option<Period>,
    synchronize_on: Option<TimeOfDay>,
    zone: Option<Zone>,
    delay: Option<Delay>,
    breakup_on_period: Option<bool>,
    always_export: Option<bool>,
    late: Option<Late>,
    connection_attempts: Option<u32>,
    timeout: Option<Span>,
    filename: Option<NameTemplate>,
    taken: Option<bool>,
    manifest: Option<bool>,
    compress: Option<Compression>,
    format: Option<IgnoredAny>,
    transport: Option<IgnoredAny>,
}

impl From<Table> for ReceiverKeys {
    fn from(table: Table) -> ReceiverKeys {
        ReceiverKeys { name: table.name.0, needs: table.needs }
    }
}
