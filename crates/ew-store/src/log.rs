//! Opening the log.

use crate::error::{StoreError, is_full};
use crate::gather;
use crate::{Ledger, Snapshot, schema};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a writer waits for another one.
pub const WRITE_WAIT: Duration = Duration::from_secs(30);

/// An open log.
#[derive(Debug)]
pub struct Log {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
}

impl Log {
    /// Opens the log, making it if there is none, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Log, StoreError> {
        let sql = |doing| move |source| StoreError::Sql { doing, path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if !path.exists() {
            make(path)?;
        }
        let was_there = path.exists();
        let mut conn = Connection::open_with_flags(path, flags).map_err(sql("open a database"))?;
        conn.busy_timeout(WRITE_WAIT).map_err(sql("open a database"))?;
        conn.pragma_update(None, "foreign_keys", true).map_err(sql("open a database"))?;
        // Else each statement is planned a second time, when SQLite sees its values.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sql("open a database"))?;
        // A receipt must outlive a power cut, and so must the rows that it speaks of.
        conn.pragma_update(None, "synchronous", "full").map_err(sql("open a database"))?;
        migrate(&mut conn, path, was_there)?;
        gather::register(&conn).map_err(sql("open a database"))?;
        Ok(Log { conn, path: path.to_owned() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder beside the log for a job's rendered files: `ew.db` has `ew.db.spool/jobs/utility`.
    pub fn spool_dir(log: &Path, job: &str) -> PathBuf {
        beside(log).join("jobs").join(job)
    }

    /// The folder beside the log for a job's delivered files: `ew.db` has `ew.db.spool/kept/utility`.
    pub fn kept_dir(log: &Path, job: &str) -> PathBuf {
        beside(log).join("kept").join(job)
    }

    /// The folder beside the log for lock files: `ew.db` has `ew.db.spool/locks`.
    pub fn lock_dir(log: &Path) -> PathBuf {
        beside(log).join("locks")
    }

    /// One consistent view of the log, whatever others write meanwhile.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Snapshot::begin(&self.conn, &self.path)
    }

    /// Jobs, slices and receipts.
    pub fn ledger(&mut self) -> Ledger<'_> {
        Ledger { conn: &mut self.conn, path: &self.path }
    }
}

fn beside(log: &Path) -> PathBuf {
    with_suffix(log, ".spool")
}

fn with_suffix(log: &Path, suffix: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a new log under its name with all that belongs into one: who finds the file finds the schema too, however many
/// programs begin at once and wherever one is killed.
fn make(path: &Path) -> Result<(), StoreError> {
    let file = target(path);
    let wal = with_suffix(&file, "-wal");
    // SQLite would throw those writes away. Another program may be making the log now, and writing ahead.
    if wal.metadata().is_ok_and(|wal| wal.len() > 0) && !path.exists() {
        return Err(StoreError::Orphaned { path: path.to_owned(), wal });
    }
    match write_new(&file) {
        Err(source) if is_full(&source) => {
            Err(StoreError::Io { doing: "make the log", path: path.to_owned(), source })
        }
        // Another one was faster. Or it cannot be done so: then SQLite makes it in place, or says why not.
        _ => Ok(()),
    }
}

fn write_new(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let image = || {
        let mut conn = Connection::open_in_memory()?;
        run_steps(&mut conn)?;
        conn.serialize("main").map(|image| image.to_vec())
    };
    let mut image = image().map_err(io::Error::other)?;
    // "File format version numbers" in SQLite's description of its format: 2 for write-ahead logging, which is for good.
    image[18..20].fill(2);
    let permissions = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new().prefix(".ew-log-").permissions(permissions).tempfile_in(dir)?;
    file.write_all(&image)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    // One that may not be read cannot be synced either.
    File::open(dir).map_or(Ok(()), |dir| dir.sync_all())
}

/// The file that a path names, which need not be there: what links lead to, as many as Linux follows (path_resolution(7)).
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..40 {
        let Ok(link) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(link);
    }
    path
}

/// `was_there`: the file was there before it was opened.
fn migrate(conn: &mut Connection, path: &Path, was_there: bool) -> Result<(), StoreError> {
    let sql = |doing| move |source| StoreError::Sql { doing, path: path.to_owned(), source };
    let known = schema::STEPS.len() as i64;
    let version = |conn: &Connection| {
        conn.query_row("pragma user_version", [], |row| row.get::<_, i64>(0))
            .map_err(sql("read the schema version"))
    };
    let found = version(conn)?;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    if found == 0 {
        let tables: i64 = conn
            .query_row("select count(*) from sqlite_master", [], |row| row.get(0))
            .map_err(sql("read the schema"))?;
        if tables > 0 && version(conn)? == 0 {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        // An export makes them when its log has a schema. A lock is taken before, so that says nothing.
        let has_exported = || ["jobs", "kept"].iter().any(|folder| beside(path).join(folder).exists());
        if was_there && tables == 0 && has_exported() {
            return Err(StoreError::Emptied { path: path.to_owned(), spool: beside(path) });
        }
        // Once, for good: the mode is kept in the file. Two programs that start at once on a new log
        // both ask for it, and the lock that this takes is not covered by the busy time-out.
        set_wal(conn).map_err(sql("switch to write-ahead logging"))?;
    }
    run_steps(conn).map_err(sql("migrate"))
}

fn run_steps(conn: &mut Connection) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another program may have migrated while this one waited for the lock.
    let found: i64 = tx.query_row("pragma user_version", [], |row| row.get(0))?;
    for step in schema::STEPS.iter().skip(found.max(0) as usize) {
        tx.execute_batch(step)?;
    }
    if found < schema::STEPS.len() as i64 {
        tx.pragma_update(None, "user_version", schema::STEPS.len() as i64)?;
    }
    tx.commit()
}

fn set_wal(conn: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match conn.pragma_update(None, "journal_mode", "wal") {
            Err(e) if tries < 100 && e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ew.db");
        drop(Log::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Log::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, known: 6, .. }), "{error}");
        assert_eq!(error.exit(), ew_core::Exit::Io);
    }

    #[test]
    fn a_file_that_is_no_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ew.db");
        std::fs::write(&path, "timestamp,point,value\n".repeat(100)).unwrap();
        let error = Log::open(&path).unwrap_err();
        assert!(error.hint().unwrap().contains("not an ew log"), "{error:?}");
    }

    #[test]
    fn another_program_s_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ew.db");
        Connection::open(&path).unwrap().execute_batch("create table t (x)").unwrap();
        assert!(matches!(Log::open(&path), Err(StoreError::Foreign { .. })));
        let tables: i64 = Connection::open(&path)
            .unwrap()
            .query_row("select count(*) from sqlite_master", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1);
    }

    /// A run that was killed, or has only begun, leaves a file without a schema, and its lock.
    #[test]
    fn an_empty_file_is_a_new_log_unless_files_were_made_of_it() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, is_new) in [("locks", true), ("jobs", false), ("kept", false)] {
            let path = dir.path().join(format!("{folder}.db"));
            std::fs::create_dir_all(beside(&path).join(folder)).unwrap();
            std::fs::write(&path, "").unwrap();
            match Log::open(&path) {
                Ok(_) => assert!(is_new, "{folder}"),
                Err(error) => {
                    assert!(!is_new && matches!(error, StoreError::Emptied { .. }), "{folder}: {error}")
                }
            }
        }
    }

    /// Beside what an earlier log left too: that one may have been moved away. Or by a link to where there is none.
    #[test]
    fn many_open_a_new_log_at_once() {
        let dir = tempfile::tempdir().unwrap();
        for (round, folder) in ["locks", "jobs", "kept"].repeat(6).into_iter().enumerate() {
            let path = dir.path().join(format!("{round}.db"));
            std::fs::create_dir_all(beside(&path).join(folder)).unwrap();
            if round % 2 == 1 {
                std::os::unix::fs::symlink(format!("data{round}.db"), &path).unwrap();
            }
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| Log::open(&path).unwrap());
                }
            });
            assert!(path.exists() && !with_suffix(&path, "-wal").exists(), "{folder}");
        }
        let hidden = std::fs::read_dir(dir.path()).unwrap().flatten();
        let hidden: Vec<_> = hidden.filter(|entry| entry.file_name().as_encoded_bytes()[0] == b'.').collect();
        assert!(hidden.is_empty(), "{hidden:?}");
    }

    #[test]
    fn a_new_log_writes_ahead_and_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, plain) = (dir.path().join("ew.db"), dir.path().join("plain.db"));
        std::fs::write(with_suffix(&path, "-wal"), "").unwrap();
        let log = Log::open(&path).unwrap();
        let mode: String = log.conn.query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
        let faults: String = log.conn.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        let seq: i64 = log.conn.query_row("select last_seq from state", [], |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), faults.as_str(), seq), ("wal", "ok", 0));
        // As SQLite would have made it.
        Connection::open(&plain).unwrap().execute_batch("create table t (x)").unwrap();
        let rights = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(rights(&path), rights(&plain));
    }

    /// A log that was moved away without its last writes: SQLite would make a new one and throw them away.
    #[test]
    fn last_writes_without_their_log_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, away) = (dir.path().join("ew.db"), dir.path().join("away.db"));
        let log = Log::open(&path).unwrap();
        log.conn.execute_batch("insert into point (name) values ('a')").unwrap();
        let wal = with_suffix(&path, "-wal");
        let writes = std::fs::read(&wal).unwrap();
        std::fs::rename(&path, &away).unwrap();
        let error = Log::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Orphaned { .. }), "{error}");
        assert!(std::fs::read(&wal).unwrap() == writes && !path.exists());
        // Beside it again, they are in it.
        std::fs::rename(&away, &path).unwrap();
        drop(log);
        let points =
            |log: &Log| log.conn.query_row("select count(*) from point", [], |row| row.get::<_, i64>(0));
        assert_eq!(points(&Log::open(&path).unwrap()), Ok(1));
    }
}
