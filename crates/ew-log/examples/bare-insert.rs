//! The rows of a file inserted by a bare loop: what `make bench-append` holds `ew-log append` against. One
//! transaction, synced; names, units and qualities looked up in maps; nothing is checked. JSON lines where the file
//! is called so, else CSV. `bare-insert DATABASE FILE`

use rusqlite::{CachedStatement, Connection, Transaction, params};
use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader};

type Fallible<T> = Result<T, Box<dyn Error>>;

const SCHEMA: &str = "create table if not exists point (id integer primary key, name text not null unique) strict;
    create table if not exists unit (id integer primary key, name text not null unique) strict;
    create table if not exists sample (time integer not null, point integer not null, seq integer not null, value real,
        unit integer not null, quality integer not null, primary key (time, point)) strict, without rowid";
const QUALITIES: [&str; 8] =
    ["trusted", "actual", "presumed", "unknown", "max", "partial", "missing", "suspect"];

#[derive(serde::Deserialize)]
struct Line<'a> {
    timestamp: i64,
    point: &'a str,
    value: f64,
    unit: &'a str,
    quality: &'a str,
}

struct Inserts<'tx> {
    sample: CachedStatement<'tx>,
    points: Names<'tx>,
    units: Names<'tx>,
    seq: i64,
}

struct Names<'tx> {
    insert: CachedStatement<'tx>,
    ids: HashMap<String, i64>,
}

impl<'tx> Names<'tx> {
    fn new(tx: &'tx Transaction<'_>, table: &str) -> Fallible<Names<'tx>> {
        let mut select = tx.prepare(&format!("select name, id from {table}"))?;
        let ids = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(Names { insert: tx.prepare_cached(&format!("insert into {table} (name) values (?1)"))?, ids })
    }

    fn id(&mut self, name: &str) -> Fallible<i64> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        let id = self.insert.insert([name])?;
        self.ids.insert(name.to_owned(), id);
        Ok(id)
    }
}

impl Inserts<'_> {
    fn put(&mut self, time: i64, point: &str, value: f64, unit: &str, quality: &str) -> Fallible<()> {
        let quality = QUALITIES.iter().position(|known| *known == quality).ok_or("no such quality")?;
        let (point, unit) = (self.points.id(point)?, self.units.id(unit)?);
        self.seq += 1;
        self.sample.execute(params![time * 1_000_000, point, self.seq, value, unit, quality as i64])?;
        Ok(())
    }
}

fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(database), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bare-insert DATABASE FILE".into());
    };
    let mut conn = Connection::open(database)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.execute_batch(SCHEMA)?;
    let tx = conn.transaction()?;
    {
        let mut inserts = Inserts {
            sample: tx.prepare_cached("insert into sample values (?1, ?2, ?3, ?4, ?5, ?6)")?,
            points: Names::new(&tx, "point")?,
            units: Names::new(&tx, "unit")?,
            seq: 0,
        };
        if file.ends_with(".jsonl") {
            let (mut input, mut text) = (BufReader::new(std::fs::File::open(file)?), String::new());
            while input.read_line(&mut text)? > 0 {
                let line: Line<'_> = serde_json::from_str(&text)?;
                inserts.put(line.timestamp, line.point, line.value, line.unit, line.quality)?;
                text.clear();
            }
        } else {
            let mut rows = csv::Reader::from_path(file)?;
            let mut record = csv::StringRecord::new();
            while rows.read_record(&mut record)? {
                let field = |at| record.get(at).ok_or("a row is too short");
                let (time, value) = (field(0)?.parse()?, field(2)?.parse()?);
                inserts.put(time, field(1)?, value, field(3)?, field(4)?)?;
            }
        }
    }
    tx.commit()?;
    Ok(())
}
