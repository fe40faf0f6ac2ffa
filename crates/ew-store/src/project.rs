//! The tag database of another program: a C-Gate 3 or Toolkit project, SQLite. It is here because SQL is.
//!
//! Only a copy of its bytes is looked at, so that whoever holds the file notices nothing. The tables are those of a
//! project that C-Gate 3 had made.

use rusqlite::{Connection, MAIN_DB, Row};
use std::io;

/// The rows of a project that say what things are called. Texts are as they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectDb {
    /// Its name.
    pub project: Option<String>,
    /// Its networks.
    pub networks: Vec<DbNetwork>,
    /// Applications of networks.
    pub applications: Vec<DbApplication>,
    /// Groups of applications.
    pub groups: Vec<DbGroup>,
    /// Units of networks.
    pub units: Vec<DbUnit>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbNetwork {
    /// The key that its rows refer to.
    pub id: i64,
    /// Its label.
    pub tag: String,
    /// Its number.
    pub address: Option<String>,
    /// Such as `serial`.
    pub interface_type: Option<String>,
    /// Such as `COM1`.
    pub interface_address: Option<String>,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbApplication {
    /// The key that its groups refer to.
    pub id: i64,
    /// The key of its network.
    pub network: i64,
    /// Its label.
    pub tag: String,
    /// Its number.
    pub address: Option<String>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbGroup {
    /// The key of its application.
    pub application: i64,
    /// Its label.
    pub tag: String,
    /// Its number.
    pub address: Option<String>,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbUnit {
    /// The key of its network.
    pub network: i64,
    /// Its label.
    pub tag: String,
    /// Its number.
    pub address: Option<String>,
    /// Such as `DIMDN8`.
    pub kind: Option<String>,
    /// Its part name.
    pub name: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// Its catalogue number.
    pub catalogue: Option<String>,
}

/// The bytes are no such database.
#[derive(Debug, thiserror::Error)]
#[error("it is not the SQLite database of a C-Bus project: {0}")]
pub struct ProjectError(#[from] rusqlite::Error);

/// More rows than any project has.
const ROWS_MAX: usize = 100_000;
/// Where the header of an SQLite file says how it is written and read; 1 is a rollback journal, 2 a write-ahead log.
const JOURNAL: std::ops::RangeInclusive<usize> = 18..=19;

/// Reads a project from the bytes of its file.
pub fn read_project(mut bytes: Vec<u8>) -> Result<ProjectDb, ProjectError> {
    // A copy in memory has no write-ahead log beside it, and needs none.
    if let Some(journal) = bytes.get_mut(JOURNAL) {
        journal.fill(1);
    }
    let mut conn = Connection::open_in_memory()?;
    let size = bytes.len();
    conn.deserialize_read_exact(MAIN_DB, io::Cursor::new(bytes), size, true)?;
    let catalogue = match conn.prepare("select catalog_number from unit") {
        Ok(_) => "u.catalog_number",
        Err(_) => "null",
    };
    let units = format!(
        "select u.network_id, t.tag_name, t.address, u.unit_type, u.unit_name, u.serial_number, u.firmware_version,
         {catalogue} from unit u join tagged_entity t on t.id = u.tagged_entity_id order by u.id"
    );
    let project = rows(
        &conn,
        "select t.tag_name from project p join tagged_entity t on t.id = p.tagged_entity_id",
        |row| row.get(0),
    )?;
    Ok(ProjectDb {
        project: project.into_iter().next(),
        networks: rows(
            &conn,
            "select n.id, t.tag_name, cast(coalesce(n.network_number, t.address) as text),
                 (select interface_type from interface i where i.network_id = n.id limit 1),
                 (select interface_address from interface i where i.network_id = n.id limit 1)
             from network n join tagged_entity t on t.id = n.tagged_entity_id order by n.id",
            |row| {
                Ok(DbNetwork {
                    id: row.get(0)?,
                    tag: row.get(1)?,
                    address: row.get(2)?,
                    interface_type: row.get(3)?,
                    interface_address: row.get(4)?,
                })
            },
        )?,
        applications: rows(
            &conn,
            "select a.id, a.network_id, t.tag_name, t.address
             from application a join tagged_entity t on t.id = a.tagged_entity_id order by a.id",
            |row| {
                Ok(DbApplication {
                    id: row.get(0)?,
                    network: row.get(1)?,
                    tag: row.get(2)?,
                    address: row.get(3)?,
                })
            },
        )?,
        groups: rows(
            &conn,
            "select g.application_id, t.tag_name, t.address
             from _group g join tagged_entity t on t.id = g.tagged_entity_id order by g.id",
            |row| Ok(DbGroup { application: row.get(0)?, tag: row.get(1)?, address: row.get(2)? }),
        )?,
        units: rows(&conn, &units, |row| {
            Ok(DbUnit {
                network: row.get(0)?,
                tag: row.get(1)?,
                address: row.get(2)?,
                kind: row.get(3)?,
                name: row.get(4)?,
                serial: row.get(5)?,
                firmware: row.get(6)?,
                catalogue: row.get(7)?,
            })
        })?,
    })
}

fn rows<T>(
    conn: &Connection,
    sql: &str,
    of: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare(sql)?.query_map([], of)?.take(ROWS_MAX).collect()
}
