//! What polls found out of devices, kept with the polls that did.

use crate::error::StoreError;
use crate::log::Log;
use rusqlite::{Transaction, params};
use std::collections::HashMap;

impl Log {
    /// What the last poll of each device left to the next, by the point of its switch.
    pub fn device_memories(&self) -> Result<HashMap<String, String>, StoreError> {
        let sql = |source| StoreError::Sql {
            doing: "read what is known of devices",
            path: self.path.clone(),
            source,
        };
        let mut select = self.conn.prepare_cached("select point, memory from device").map_err(sql)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql)?;
        rows.collect::<Result<_, _>>().map_err(sql)
    }
}

/// Keeps what the poll of this transaction leaves to the next.
pub(crate) fn remember(tx: &Transaction<'_>, point: &str, memory: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("insert or replace into device values (?1, ?2)")?.execute(params![point, memory])?;
    Ok(())
}
