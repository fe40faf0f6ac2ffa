//! Looking after the log: is it whole, and a copy of it.

use crate::error::StoreError;
use crate::log::Log;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::File;
use std::path::{Path, PathBuf};

/// How many faults are named at most.
const FAULTS_MAX: usize = 20;

/// What must count zero, and what it is where it does not.
const QUESTIONS: [(&str, &str); 4] = [
    (
        "select count(*) from pragma_foreign_key_check()",
        "rows that refer to a point, unit or job that is not there",
    ),
    (
        "select count(*) from sample, state where sample.seq > last_seq",
        "samples with a seq that was never given",
    ),
    (
        "select count(*) from sample where quality not between 0 and 7",
        "samples of a quality that is not known",
    ),
    (
        "select count(*) from slice s join job j on j.id = s.job where s.state in ('placed', 'verified')
         and (j.bookmark is null or s.end_time > j.bookmark)",
        "slices placed after their job's bookmark",
    ),
];

impl Log {
    /// What is wrong with the log; nothing where it is whole. Reads all of it.
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // On a damaged log a question may end in an error: what it found until then stands, and so does the error.
        if let Err(error) = self.integrity(&mut faults) {
            faults.push(error.to_string());
        }
        for (question, fault) in QUESTIONS {
            match self.conn.query_row(question, [], |row| row.get::<_, i64>(0)) {
                Ok(0) => {}
                Ok(count) => faults.push(format!("{count} {fault}")),
                Err(error) => faults.push(error.to_string()),
            }
        }
        faults.dedup();
        faults.truncate(FAULTS_MAX);
        faults
    }

    fn integrity(&self, faults: &mut Vec<String>) -> rusqlite::Result<()> {
        let mut select = self.conn.prepare("pragma integrity_check(20)")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                faults.push(line);
            }
        }
        Ok(())
    }

    /// Copies the log as it is at one moment, whatever others write meanwhile: under a temporary name, then
    /// renamed over `file`. Returns the size of the copy, bytes.
    pub fn backup(&self, file: &Path) -> Result<u64, StoreError> {
        let part = with_tail(file, ".part");
        let io = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        match std::fs::remove_file(&part) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &part)(e)),
            _ => {}
        }
        let copied = self.copy(&part).and_then(|()| {
            let file = File::open(&part).map_err(io("open", &part))?;
            file.sync_all().map_err(io("write", &part))?;
            file.metadata().map(|meta| meta.len()).map_err(io("read", &part))
        });
        let bytes = match copied {
            Ok(bytes) => bytes,
            Err(error) => {
                // A copy that is not whole must not be taken for one.
                for tail in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(with_tail(&part, tail));
                }
                return Err(error);
            }
        };
        if let Err(source) = std::fs::rename(&part, file) {
            let _ = std::fs::remove_file(&part);
            return Err(io("rename a copy to", file)(source));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("write", folder))?;
        Ok(bytes)
    }

    fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let sql = |source| StoreError::Sql { doing: "write a copy", path: to.to_owned(), source };
        let mut copy = Connection::open(to).map_err(sql)?;
        let backup = Backup::new(&self.conn, &mut copy).map_err(sql)?;
        // All pages in one step: one moment of the log, which in write-ahead mode keeps no writer waiting.
        match backup.step(-1).map_err(sql)? {
            StepResult::Done => drop(backup),
            _ => {
                return Err(StoreError::Unreadable {
                    path: self.path.clone(),
                    what: "pages that another program holds; nothing was copied".into(),
                });
            }
        }
        // Pages are copied as they are. Those of a damaged log must not take the place of an earlier, good copy.
        let found: String = copy.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
        match found.as_str() {
            "ok" => Ok(()),
            _ => Err(StoreError::Damaged { path: self.path.clone(), what: found.replace('\n', " ") }),
        }
    }
}

fn with_tail(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(tail);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ew_core::{Quality, Sample, Selection, Timestamp, Window};
    use std::convert::Infallible;

    fn add(log: &mut Log, secs: i64) {
        let time = Timestamp::from_secs(secs);
        let sample = Sample::new(time, "a".parse().unwrap(), Some(1.0), "W", Quality::Actual).unwrap();
        log.append([Ok::<_, Infallible>(sample)], false, time).unwrap();
    }

    #[test]
    fn a_backup_is_a_log_and_a_fault_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        add(&mut log, 1);
        assert_eq!(log.check(), Vec::<String>::new());

        let copy = dir.path().join("copy.db");
        assert!(log.backup(&copy).unwrap() > 0);
        add(&mut log, 2);
        let mut restored = Log::open(&copy).unwrap();
        let points = restored.snapshot().unwrap().points(&Selection::default()).unwrap();
        assert_eq!(points[0].rows, 1);
        // It takes rows again, in write-ahead mode, where the old one stopped.
        add(&mut restored, 3);
        let mode: String = restored.conn.query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        assert_eq!(restored.snapshot().unwrap().last_seq().unwrap(), 2);
        let all = Window::new(Timestamp::MIN, Timestamp::MAX);
        assert_eq!(
            restored.snapshot().unwrap().columns(all, &Selection::default(), crate::Seqs::ALL).unwrap().len(),
            1
        );

        log.conn.execute("update state set last_seq = 1", []).unwrap();
        assert_eq!(log.check(), ["1 samples with a seq that was never given"]);
        log.backup(&dir.path().join("no/such/folder.db")).unwrap_err();
        assert!(!dir.path().join("copy.db.part").exists());
    }
}
