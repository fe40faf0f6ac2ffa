//! The rows of a CSV file inserted by a bare loop: what `make bench-append` holds `ew-log append` against. One
//! transaction, synced; names looked up in a map; nothing is checked, and nothing kept beside the rows.
//! `bare-insert DATABASE FILE`

use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::error::Error;

const SCHEMA: &str = "create table if not exists point (id integer primary key, name text not null unique);
    create table if not exists sample (time integer, point integer, seq integer, value real, unit integer,
        quality integer, primary key (time, point)) without rowid";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(database), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bare-insert DATABASE FILE".into());
    };
    let mut conn = Connection::open(database)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.execute_batch(SCHEMA)?;
    let tx = conn.transaction()?;
    let mut points: HashMap<String, i64> = HashMap::new();
    {
        let mut name = tx.prepare(
            "insert into point (name) values (?1) on conflict (name) do update set name = name returning id",
        )?;
        let mut sample = tx.prepare("insert into sample values (?1, ?2, ?3, ?4, 1, 1)")?;
        let mut rows = csv::Reader::from_path(file)?;
        let mut record = csv::StringRecord::new();
        let mut seq = 0;
        while rows.read_record(&mut record)? {
            let (Some(time), Some(point), Some(value)) = (record.get(0), record.get(1), record.get(2)) else {
                return Err("a row is too short".into());
            };
            let id = match points.get(point) {
                Some(id) => *id,
                None => {
                    let id = name.query_row([point], |row| row.get(0))?;
                    points.insert(point.to_owned(), id);
                    id
                }
            };
            seq += 1;
            sample.execute(params![time.parse::<i64>()? * 1_000_000, id, seq, value.parse::<f64>()?])?;
        }
    }
    tx.commit()?;
    Ok(())
}
