//! What was found on C-Bus, and what a poll of it asked for last.

use crate::error::StoreError;
use crate::log::Log;
use crate::read::Snapshot;
use ew_core::{Point, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

/// A discovery as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDiscovery {
    /// Its number, counted from 1.
    pub id: i64,
    /// The bus, as in `ew.toml` then.
    pub bus: String,
    /// When it began.
    pub at: Timestamp,
    /// Whether nothing is missing; none where the backend cannot tell.
    pub complete: Option<bool>,
    /// All of it, JSON.
    pub document: String,
}

const COLUMNS: &str = "select id, bus, at, complete, document from discovery";

impl Log {
    /// Keeps a discovery, whole, and gives its number.
    pub fn record_discovery(
        &mut self,
        bus: &str,
        at: Timestamp,
        complete: Option<bool>,
        document: &str,
    ) -> Result<i64, StoreError> {
        self.conn
            .query_row(
                "insert into discovery (bus, at, complete, document) values (?1, ?2, ?3, ?4) returning id",
                params![bus, at.micros(), complete, document],
                |row| row.get(0),
            )
            .map_err(self.bus_error("keep a discovery"))
    }

    /// A discovery by its number.
    pub fn discovery(&self, id: i64) -> Result<Option<StoredDiscovery>, StoreError> {
        self.conn
            .query_row(&format!("{COLUMNS} where id = ?1"), [id], discovery)
            .optional()
            .map_err(self.bus_error("read a discovery"))
    }

    /// The last discoveries of a bus, the newest first.
    pub fn last_discoveries(&self, bus: &str, count: u32) -> Result<Vec<StoredDiscovery>, StoreError> {
        let read = || -> rusqlite::Result<Vec<StoredDiscovery>> {
            self.conn
                .prepare_cached(&format!("{COLUMNS} where bus = ?1 order by id desc limit ?2"))?
                .query_map(params![bus, count], discovery)?
                .collect()
        };
        read().map_err(self.bus_error("read discoveries"))
    }

    /// Keeps the tags of a bus in place of those that it had.
    pub fn keep_tags(&mut self, bus: &str, at: Timestamp, document: &str) -> Result<(), StoreError> {
        self.conn
            .execute(
                "insert into bus_tags values (?1, ?2, ?3) on conflict do update set at = ?2, document = ?3",
                params![bus, at.micros(), document],
            )
            .map(|_| ())
            .map_err(self.bus_error("keep tags"))
    }

    /// The tags of a bus, JSON.
    pub fn tags(&self, bus: &str) -> Result<Option<String>, StoreError> {
        self.conn
            .query_row("select document from bus_tags where bus = ?1", [bus], |row| row.get(0))
            .optional()
            .map_err(self.bus_error("read tags"))
    }

    fn bus_error(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let path = self.path.clone();
        move |source| StoreError::Sql { doing, path: path.clone(), source }
    }
}

fn discovery(row: &Row<'_>) -> rusqlite::Result<StoredDiscovery> {
    Ok(StoredDiscovery {
        id: row.get(0)?,
        bus: row.get(1)?,
        at: Timestamp::from_micros(row.get(2)?),
        complete: row.get(3)?,
        document: row.get(4)?,
    })
}

impl Snapshot<'_> {
    /// The points whose names begin so and whose newest row of this unit has the latest time of all such: what the last
    /// poll had.
    pub fn last_polled(&self, prefix: &str, unit: &str) -> Result<Vec<Point>, StoreError> {
        // Every name that begins with the prefix sorts before this.
        let end = format!("{prefix}\u{10ffff}");
        let read = || -> rusqlite::Result<Vec<String>> {
            self.tx
                .prepare_cached(
                    "select p.name from point p join sample s on s.point = p.id where s.time = (
                         select s.time from sample s join point p on p.id = s.point
                         where p.name >= ?1 and p.name < ?2 and s.unit = (select id from unit where name = ?3)
                         order by s.time desc limit 1)
                     and p.name >= ?1 and p.name < ?2 and s.unit = (select id from unit where name = ?3)
                     order by p.name",
                )?
                .query_map(params![prefix, end, unit], |row| row.get(0))?
                .collect()
        };
        let names = read().map_err(self.sql("read the last poll of a bus"))?;
        names
            .into_iter()
            .map(|name| name.parse().map_err(|_| self.unreadable(format!("the point {name:?}"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ew_core::{Quality, Sample};
    use std::convert::Infallible;

    #[test]
    fn discoveries_are_numbered_and_tags_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let at = Timestamp::from_secs(7);
        for (bus, complete) in [("a", None), ("b", Some(true)), ("a", Some(false))] {
            log.record_discovery(bus, at, complete, "{}").unwrap();
        }
        let of_a: Vec<_> = log.last_discoveries("a", 5).unwrap().iter().map(|d| (d.id, d.complete)).collect();
        assert_eq!(of_a, [(3, Some(false)), (1, None)]);
        assert_eq!(log.discovery(2).unwrap().unwrap().bus, "b");
        assert_eq!(log.discovery(9).unwrap(), None);
        assert_eq!(log.tags("a").unwrap(), None);
        log.keep_tags("a", at, "1").unwrap();
        log.keep_tags("a", at, "2").unwrap();
        assert_eq!(log.tags("a").unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn a_trim_takes_older_discoveries_and_leaves_the_newest_two_of_each_bus() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        for (bus, secs) in [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 9), ("b", 2), ("a", 10)] {
            log.record_discovery(bus, Timestamp::from_secs(secs), None, "{}").unwrap();
        }
        let trim = |log: &mut Log, before| {
            log.trim(Timestamp::from_secs(before), &[], false, Timestamp::from_secs(20)).unwrap().discoveries
        };
        // The third is from the very moment.
        assert_eq!(trim(&mut log, 3), 2);
        assert_eq!((trim(&mut log, 20), trim(&mut log, 20)), (1, 0));
        let left = |bus: &str| log.last_discoveries(bus, 9).unwrap().iter().map(|d| d.id).collect::<Vec<_>>();
        assert_eq!((left("a"), left("b")), (vec![7, 5], vec![6, 3]));
    }

    #[test]
    fn the_last_poll_of_a_bus_is_of_its_unit_and_no_other_bus() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let sample = |secs, point: &str, unit: &str| {
            let time = Timestamp::from_secs(secs);
            Ok::<_, Infallible>(
                Sample::new(time, point.parse().unwrap(), Some(1.0), unit, Quality::Actual).unwrap(),
            )
        };
        let rows = [
            sample(1, "cbus.a.254.56.9", "level"),
            sample(2, "cbus.a.254.56.1", "level"),
            sample(2, "cbus.a.254.56.2", "level"),
            sample(3, "cbus.a.254.measurement.1.1", "W"),
            sample(3, "cbus.ab.254.56.1", "level"),
        ];
        log.append(rows, false, Timestamp::from_secs(9)).unwrap();
        let snapshot = log.snapshot().unwrap();
        let points = snapshot.last_polled("cbus.a.", "level").unwrap();
        assert_eq!(
            points.iter().map(Point::as_str).collect::<Vec<_>>(),
            ["cbus.a.254.56.1", "cbus.a.254.56.2"]
        );
        assert!(snapshot.last_polled("cbus.none.", "level").unwrap().is_empty());
    }
}
