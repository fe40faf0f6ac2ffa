//! What was seen of the clock, kept with the polls that saw it.

use crate::error::StoreError;
use crate::log::Log;
use ew_core::{Boot, ClockHistory, ClockReading, Doubted, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

/// A reading as `state.clock` has it: microseconds.
#[derive(Serialize, Deserialize)]
struct Reading {
    wall: i64,
    boot: Option<(String, i64)>,
}

#[derive(Serialize, Deserialize)]
struct History {
    good: Option<Reading>,
    doubted: Option<(Reading, Reading)>,
}

impl From<&ClockReading> for Reading {
    fn from(reading: &ClockReading) -> Reading {
        let boot = reading.boot.as_ref().map(|boot| (boot.id.clone(), boot.uptime));
        Reading { wall: reading.wall.micros(), boot }
    }
}

impl From<Reading> for ClockReading {
    fn from(reading: Reading) -> ClockReading {
        let boot = reading.boot.map(|(id, uptime)| Boot { id, uptime });
        ClockReading { wall: Timestamp::from_micros(reading.wall), boot }
    }
}

impl Log {
    /// What was seen of the clock up to now.
    pub fn clock(&self) -> Result<ClockHistory, StoreError> {
        read(&self.conn).map_err(|source| self.clock_error(source))
    }

    /// Keeps a reading of the clock beside a poll's own.
    pub fn observe_clock(&mut self, reading: &ClockReading) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sql = |source| StoreError::Sql { doing: "keep the clock", path: path.clone(), source };
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        observe(&tx, reading).map_err(sql)?;
        tx.commit().map_err(sql)
    }

    fn clock_error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sql { doing: "read what was seen of the clock", path: self.path.clone(), source }
    }
}

/// What does not read back is as good as nothing seen: the next poll writes it anew.
fn read(conn: &Connection) -> rusqlite::Result<ClockHistory> {
    let text: Option<String> = conn.query_row("select clock from state", [], |row| row.get(0))?;
    let kept: Option<History> = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(kept.map_or(ClockHistory::default(), |kept| ClockHistory {
        good: kept.good.map(ClockReading::from),
        doubted: kept.doubted.map(|(since, last)| Doubted { since: since.into(), last: last.into() }),
    }))
}

/// Adds a reading to what was seen, unless a later one of the same boot is there: polls of two domains may end in
/// another order than they began.
pub(crate) fn observe(tx: &Transaction<'_>, reading: &ClockReading) -> rusqlite::Result<()> {
    let before = read(tx)?;
    let last = before.doubted.as_ref().map(|doubted| &doubted.last).or(before.good.as_ref());
    let boots = last.and_then(|last| last.boot.as_ref().zip(reading.boot.as_ref()));
    if boots.is_some_and(|(then, now)| then.id == now.id && then.uptime > now.uptime) {
        return Ok(());
    }
    let (after, _) = before.observe(reading);
    let kept = History {
        good: after.good.as_ref().map(Reading::from),
        doubted: after.doubted.as_ref().map(|d| (Reading::from(&d.since), Reading::from(&d.last))),
    };
    // Numbers and short texts: there is always a text.
    let text = serde_json::to_string(&kept).ok();
    tx.prepare_cached("update state set clock = ?1")?.execute([text])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_reads_back_and_an_older_reading_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        assert_eq!(log.clock().unwrap(), ClockHistory::default());
        let at = |secs, uptime| ClockReading {
            wall: Timestamp::from_secs(secs),
            boot: Some(Boot { id: "a".to_owned(), uptime }),
        };
        let (good, doubted) = (at(1_772_323_200, 9_000_000_000), at(40, 9_060_000_000));
        log.observe_clock(&good).unwrap();
        log.observe_clock(&at(1_772_323_199, 8_999_000_000)).unwrap();
        assert_eq!(log.clock().unwrap(), ClockHistory { good: Some(good.clone()), doubted: None });
        log.observe_clock(&doubted).unwrap();
        let doubted = Some(Doubted { since: doubted.clone(), last: doubted });
        assert_eq!(log.clock().unwrap(), ClockHistory { good: Some(good), doubted });
    }
}
