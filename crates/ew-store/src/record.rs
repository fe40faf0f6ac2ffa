//! What is written to the ledger: rendered, sending, placed, failed, held, released, skipped.

use crate::beside::{self, Claim, Document, claim_name};
use crate::error::StoreError;
use crate::ledger::{Delivery, Job, Ledger, columns_json, reached_json};
use crate::progress::{self, Attempt};
use ew_core::{Columns, Timestamp, Window};
use rusqlite::{Transaction, TransactionBehavior, params};

/// A slice whose file is rendered, to be committed before its first byte leaves.
#[derive(Debug, Clone)]
pub struct NewSlice {
    /// The planned slice that gets its file; none for a new one.
    pub planned: Option<i64>,
    /// Its window.
    pub window: Window,
    /// Its revision; 0 is the first delivery.
    pub rev: u32,
    /// The highest seq when it was planned.
    pub as_of_seq: i64,
    /// A delta: it holds only rows with a higher seq.
    pub after_seq: Option<i64>,
    /// The columns of a wide layout.
    pub columns: Option<Columns>,
    /// The formatter and its version.
    pub format: String,
    /// Version of the zone rules, where they tell it.
    pub zone_data: Option<String>,
    /// Its number within the job.
    pub count: i64,
    /// The name that its template gives; a clash with another slice adds `_2` …
    pub name: String,
    /// The extension in that name.
    pub ext: String,
    /// Samples in it.
    pub rows: u64,
    /// How many intervals they are of; 0: they are the log's own.
    pub intervals: u64,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Of the file, lower-case hex.
    pub sha256: String,
    /// The file below the spool folder.
    pub spool: String,
    /// Where it goes.
    pub destination: String,
    /// What lies beside the file, for the name that [`Ledger::claim`] gave.
    pub beside: Vec<Document>,
}

/// Where and when a slice came to be at its receiver.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// Its name there.
    pub name: &'a str,
    /// The receiver.
    pub destination: &'a str,
    /// What the transporter says, JSON.
    pub receipt: &'a str,
    /// The file as it is kept, below the folder of kept files.
    pub kept: Option<&'a str>,
    /// The present.
    pub at: Timestamp,
}

impl Ledger<'_> {
    /// Commits a rendered slice, and with it the empty stretch passed over before it. From here on its
    /// name, hash and bytes stand; the name is its own for ever.
    pub fn record_rendered(
        &mut self,
        job: &Job,
        passed_over: Option<Window>,
        slice: &NewSlice,
    ) -> Result<Delivery, StoreError> {
        let sql = self.sql("record a rendered slice");
        let (start, end) = (slice.window.start.micros(), slice.window.end.micros());
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        if let Some(window) = passed_over {
            tx.execute(
                "insert into slice (job, start_time, end_time, rev, as_of_seq, state) values (?1, ?2, ?3, 0, ?4, 'empty')",
                params![job.id, window.start.micros(), window.end.micros(), slice.as_of_seq],
            )
            .map_err(&sql)?;
        }
        let claim = Claim::of(job, slice);
        let name = claim_name(&tx, &claim).map_err(&sql)?;
        let columns = slice.columns.as_ref().map(|columns| columns_json(columns));
        let id = match slice.planned {
            Some(id) => id,
            None => {
                tx.execute(
                    "insert into slice (job, start_time, end_time, rev, as_of_seq, state)
                     values (?1, ?2, ?3, ?4, ?5, 'planned')",
                    params![job.id, start, end, slice.rev, slice.as_of_seq],
                )
                .map_err(&sql)?;
                tx.last_insert_rowid()
            }
        };
        tx.execute(
            "update slice set state = 'rendered', as_of_seq = ?2, after_seq = ?3, columns = ?4, format = ?5,
                 count = ?6, name = ?7, rows = ?8, bytes = ?9, sha256 = ?10, spool = ?11, destination = ?12,
                 zone_data = ?13, intervals = ?14, reason = null
             where id = ?1",
            params![
                id,
                slice.as_of_seq,
                slice.after_seq,
                columns,
                slice.format,
                slice.count,
                name,
                slice.rows,
                slice.bytes,
                slice.sha256,
                slice.spool,
                slice.destination,
                slice.zone_data,
                slice.intervals
            ],
        )
        .map_err(&sql)?;
        for document in &slice.beside {
            beside::keep(&tx, id, document).map_err(&sql)?;
        }
        tx.execute("update job set slices = max(slices, ?2) where id = ?1", params![job.id, slice.count])
            .map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        self.by_id(id)
    }

    /// Notes that bytes of a file in the spool may leave now, and where to; counts the attempt. A slice that
    /// is placed and sent again by hand stays placed, as and where it is. A slice whose destination changed
    /// since it was recorded claims its name there.
    pub fn sending(
        &mut self,
        job: &Job,
        slice: &Delivery,
        destination: &str,
        ext: &str,
    ) -> Result<Attempt, StoreError> {
        let sql = self.sql("note an attempt");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let mut name = slice.name.clone().unwrap_or_default();
        if slice.destination.as_deref() != Some(destination) {
            let beside = beside::kinds(&beside::read(&tx, slice.id).map_err(&sql)?);
            let says_its_name = !beside.is_empty();
            let claim = Claim { job: job.id, window: slice.window, destination, name: &name, ext, beside };
            let claimed = claim_name(&tx, &claim).map_err(&sql)?;
            if says_its_name && claimed != name {
                return Err(StoreError::Named { name, destination: destination.to_owned() });
            }
            name = claimed;
        }
        // What is at a receiver stays as it is there while it is sent again by hand. How far an attempt came counts
        // for the same delivery to the same receiver only.
        tx.execute(
            "update slice set attempts = attempts + 1, spool = ?2,
                 progress = case when spool is null or destination is not ?3 then 0 else progress end,
                 state = case when state in ('rendered', 'failed') then 'sending' else state end,
                 destination = case when state in ('placed', 'verified', 'superseded') then destination else ?3 end,
                 name = case when state in ('placed', 'verified', 'superseded') then name else ?4 end
             where id = ?1",
            params![slice.id, slice.spool, destination, name],
        )
        .map_err(&sql)?;
        let attempt = progress::attempt(&tx, slice.id, name).map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(attempt)
    }

    /// Notes why the last attempt failed, and all who have the slice all the same; it stays due for the others.
    /// One that was placed before stays placed, and is not tried again by itself.
    pub fn failed(&mut self, slice: &Delivery, reason: &str, reached: &[String]) -> Result<(), StoreError> {
        let sql = self.sql("note a failure");
        self.conn
            .execute(
                "update slice set spool = null where id = ?1 and state in ('placed', 'verified', 'superseded')",
                params![slice.id],
            )
            .map_err(&sql)?;
        self.conn
            .execute(
                "update slice set reason = ?2, reached = ?3, state = 'failed'
                 where id = ?1 and state not in ('placed', 'verified', 'superseded')",
                params![slice.id, reason, (!reached.is_empty()).then(|| reached_json(reached))],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// Commits receipt and bookmark together: the slice is at the receiver. A whole slice takes the place of
    /// every revision before it, a delta of none; the bookmark never moves back. Returns the bookmark.
    pub fn place(
        &mut self,
        job: &Job,
        slice: &Delivery,
        receipt: &Placed<'_>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = self.sql("record a receipt");
        let (start, end) = (slice.window.start.micros(), slice.window.end.micros());
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        tx.execute(
            "update slice set state = case state when 'superseded' then state else 'placed' end, reason = null,
                 reached = null, spool = null, progress = 0, proof = null, verified_at = null, receipt = ?2, kept = coalesce(?6, kept),
                 delivered_at = case when destination = ?4 then coalesce(delivered_at, ?3) else ?3 end,
                 destination = ?4, name = ?5 where id = ?1",
            params![
                slice.id,
                receipt.receipt,
                receipt.at.micros(),
                receipt.destination,
                receipt.name,
                receipt.kept
            ],
        )
        .map_err(&sql)?;
        if slice.after_seq.is_none() {
            tx.execute(
                "update slice set state = 'superseded', reason = null
                 where job = ?1 and start_time = ?2 and end_time = ?3 and rev < ?4
                     and state in ('placed', 'verified', 'planned', 'held')",
                params![job.id, start, end, slice.rev],
            )
            .map_err(&sql)?;
        }
        let bookmark = pass(&tx, job, slice).map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(bookmark)
    }

    /// Passes over a slice that the receiver will never take: it is not sent, and what follows it is due. Its
    /// file leaves the spool with the next run.
    pub fn skip(&mut self, job: &Job, slice: &Delivery, reason: &str) -> Result<(), StoreError> {
        let sql = self.sql("skip a slice");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        tx.execute(
            "update slice set state = 'skipped', reason = ?2, spool = null, reached = null where id = ?1",
            params![slice.id, reason],
        )
        .map_err(&sql)?;
        pass(&tx, job, slice).map_err(&sql)?;
        tx.commit().map_err(&sql)
    }

    /// Lets a held slice go with the next run; with `after_seq` as a delta.
    pub fn release(&mut self, slice: &Delivery, after_seq: Option<i64>) -> Result<(), StoreError> {
        let sql = self.sql("release a slice");
        self.conn
            .execute(
                "update slice set state = 'planned', reason = null, after_seq = ?2 where id = ?1",
                params![slice.id, after_seq],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// The file of a delivered slice is no longer kept.
    pub fn forget_kept(&mut self, slice: &Delivery) -> Result<(), StoreError> {
        let sql = self.sql("forget a kept file");
        self.conn.execute("update slice set kept = null where id = ?1", [slice.id]).map_err(&sql)?;
        Ok(())
    }

    /// A job goes by another name; its slices, names and bookmark stay its own.
    pub fn rename(&mut self, job: &Job, name: &str) -> Result<(), StoreError> {
        let sql = self.sql("rename a job");
        self.conn.execute("update job set name = ?2 where id = ?1", params![job.id, name]).map_err(&sql)?;
        Ok(())
    }
}

/// The bookmark reaches to the end of a slice that is placed or passed over, and never moves back. A slice at
/// or after it was planned when every row before it with a seq up to its own was in some slice.
fn pass(tx: &Transaction<'_>, job: &Job, slice: &Delivery) -> rusqlite::Result<Option<Timestamp>> {
    tx.query_row(
        "update job set
             looked_seq = case when bookmark is null or ?2 >= bookmark then max(looked_seq, ?4) else looked_seq end,
             bookmark = max(coalesce(bookmark, ?3), ?3)
         where id = ?1 returning bookmark",
        params![job.id, slice.window.start.micros(), slice.window.end.micros(), slice.as_of_seq],
        |row| row.get::<_, Option<i64>>(0),
    )
    .map(|bookmark| bookmark.map(Timestamp::from_micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Beside, Log, Progress};
    use ew_core::Point;

    fn slice(start: i64, name: &str) -> NewSlice {
        NewSlice {
            window: Window::new(Timestamp::from_secs(start), Timestamp::from_secs(start + 900)),
            planned: None,
            rev: 0,
            as_of_seq: 7,
            after_seq: None,
            columns: Some(["a", "b,\"c"].iter().map(|n| n.parse().unwrap()).collect()),
            format: "csv/1".into(),
            zone_data: Some("2025b".into()),
            count: start / 900,
            name: name.into(),
            ext: "csv".into(),
            rows: 3,
            intervals: 0,
            bytes: 40,
            sha256: "00".into(),
            spool: "u/x.csv".into(),
            destination: "file:///out".into(),
            beside: Vec::new(),
        }
    }

    #[test]
    fn rendered_placed_and_the_bookmark_never_moves_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let job = ledger.make_job("utility").unwrap();
        let gap = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(900));
        let late = ledger.record_rendered(&job, Some(gap), &slice(900, "b.csv")).unwrap();
        let early = ledger.record_rendered(&job, None, &slice(0, "a.csv")).unwrap();
        assert_eq!(ledger.unfinished(&job).unwrap(), [early.clone(), late.clone()]);
        assert_eq!(late.columns.as_deref().map(<[Point]>::len), Some(2));
        assert_eq!(late.zone_data.as_deref(), Some("2025b"));

        assert_eq!(ledger.sending(&job, &late, "file:///out", "csv").unwrap().name, "b.csv");
        let reached = ["a@example.com".to_owned(), "\"b\"@example.com".to_owned()];
        ledger.failed(&late, "connection refused", &reached).unwrap();
        assert_eq!(ledger.unfinished(&job).unwrap()[1].reached, reached);
        assert_eq!(ledger.unfinished(&job).unwrap()[1].reason.as_deref(), Some("connection refused"));
        let placed = |name| Placed {
            name,
            destination: "file:///out",
            receipt: "{}",
            kept: None,
            at: Timestamp::from_secs(5_000),
        };
        let bookmark = ledger.place(&job, &late, &placed("b.csv")).unwrap();
        assert_eq!(bookmark, Some(Timestamp::from_secs(1_800)));
        assert_eq!(ledger.place(&job, &early, &placed("a.csv")).unwrap(), bookmark);
        assert_eq!(ledger.unfinished(&job).unwrap(), []);
        let all = ledger.list(None, Window::new(Timestamp::MIN, Timestamp::MAX)).unwrap();
        // A slice that is sent again by hand goes to everyone.
        assert!(all.iter().all(|slice| slice.reached.is_empty()));
        let states: Vec<_> = all.iter().map(|d| (d.state.as_str(), d.attempts)).collect();
        assert_eq!(states, [("empty", 0), ("placed", 0), ("placed", 1)]);
    }

    #[test]
    fn sent_again_by_hand_it_stays_placed_as_and_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let job = ledger.make_job("u").unwrap();
        let slice = ledger.record_rendered(&job, None, &slice(0, "a.csv")).unwrap();
        let at = Timestamp::from_secs(5_000);
        let placed = Placed { name: "a.csv", destination: "file:///out", receipt: "{}", kept: None, at };
        ledger.place(&job, &slice, &placed).unwrap();
        let all = Window::new(Timestamp::MIN, Timestamp::MAX);
        let before = ledger.list(None, all).unwrap();
        let again = Delivery { spool: Some("again.csv".into()), ..before[0].clone() };
        ledger.sending(&job, &again, "file:///other", "csv").unwrap();
        // Killed here, the next run finishes it.
        assert_eq!(ledger.unfinished(&job).unwrap()[0].spool.as_deref(), Some("again.csv"));
        ledger.failed(&again, "no answer", &[]).unwrap();
        let after = ledger.list(None, all).unwrap();
        assert_eq!(after, [Delivery { attempts: 1, ..before[0].clone() }]);
    }

    /// A slice that waits while its job is given another receiver takes no name that is another's there.
    #[test]
    fn a_changed_destination_is_claimed_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let (one, two) = (ledger.make_job("one").unwrap(), ledger.make_job("two").unwrap());
        ledger.record_rendered(&one, None, &slice(0, "a.csv")).unwrap();
        let elsewhere = NewSlice { destination: "file:///elsewhere".into(), ..slice(0, "a.csv") };
        let waiting = ledger.record_rendered(&two, None, &elsewhere).unwrap();
        assert_eq!(waiting.name.as_deref(), Some("a.csv"));
        assert_eq!(ledger.sending(&two, &waiting, "file:///out", "csv").unwrap().name, "a_2.csv");
    }

    /// How far an attempt came counts until the slice is placed, for one receiver, and not for the next resend.
    #[test]
    fn how_far_an_attempt_came() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let job = ledger.make_job("u").unwrap();
        let recorded = ledger.record_rendered(&job, None, &slice(0, "a.csv")).unwrap();
        let mut progress = |slice: &Delivery, destination: &str, then: Progress| {
            let found = ledger.sending(&job, slice, destination, "csv").unwrap().progress;
            ledger.advance(slice, then, Some("{}")).unwrap();
            found
        };
        assert_eq!(progress(&recorded, "file:///out", Progress::DataWhole), Progress::Nothing);
        assert_eq!(progress(&recorded, "file:///out", Progress::DataThere), Progress::DataWhole);
        assert_eq!(progress(&recorded, "file:///elsewhere", Progress::ManifestWhole), Progress::Nothing);
        assert_eq!(
            progress(&recorded, "file:///elsewhere", Progress::ManifestWhole),
            Progress::ManifestWhole
        );
        let at = Timestamp::from_secs(5_000);
        let placed =
            Placed { name: "a.csv", destination: "file:///elsewhere", receipt: "{}", kept: None, at };
        ledger.place(&job, &recorded, &placed).unwrap();
        let again = Delivery { spool: Some("again.csv".into()), ..recorded };
        let attempt = ledger.sending(&job, &again, "file:///elsewhere", "csv").unwrap();
        assert_eq!(attempt.progress, Progress::Nothing);
        // Killed and gone on with.
        ledger.advance(&again, Progress::DataWhole, None).unwrap();
        let attempt = ledger.sending(&job, &again, "file:///elsewhere", "csv").unwrap();
        assert_eq!(attempt.progress, Progress::DataWhole);
    }

    #[test]
    fn a_manifest_keeps_its_name_and_none_follows_one_that_was_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let (one, two) = (ledger.make_job("one").unwrap(), ledger.make_job("two").unwrap());
        let manifest = |text: &str| Document { kind: Beside::Manifest, text: text.into() };
        let with =
            |start, name: &str, text: &str| NewSlice { beside: vec![manifest(text)], ..slice(start, name) };
        // Both names are claimed, and the file of another gets neither.
        assert_eq!(ledger.claim(&one, &slice(0, "a.csv"), &[Beside::Manifest]).unwrap(), "a.csv");
        ledger.record_rendered(&one, None, &with(0, "a.csv", "first")).unwrap();
        let clash = ledger.record_rendered(&two, None, &slice(0, "a.csv.manifest.json")).unwrap();
        assert_ne!(clash.name.as_deref(), Some("a.csv.manifest.json"));
        assert_eq!(ledger.claim(&two, &slice(900, "a.csv"), &[Beside::Manifest]).unwrap(), "a_2.csv");

        let second = ledger.record_rendered(&one, None, &with(900, "b.csv", "second")).unwrap();
        assert_eq!(ledger.beside(&second).unwrap(), [manifest("second")]);
        assert_eq!(ledger.last_manifest(&one).unwrap(), Some(("b.csv".into(), "second".into())));
        ledger.skip(&one, &second, "they refuse it").unwrap();
        assert_eq!(ledger.last_manifest(&one).unwrap(), Some(("a.csv".into(), "first".into())));
        assert_eq!(ledger.last_manifest(&two).unwrap(), None);

        // Its text says its name, so it waits rather than goes under another.
        let elsewhere = NewSlice { destination: "file:///elsewhere".into(), ..slice(1800, "c.csv") };
        ledger.record_rendered(&two, None, &elsewhere).unwrap();
        let third = ledger.record_rendered(&one, None, &with(1800, "c.csv", "third")).unwrap();
        let error = ledger.sending(&one, &third, "file:///elsewhere", "csv").unwrap_err();
        assert!(matches!(error, StoreError::Named { .. }), "{error}");
        assert_eq!(error.exit(), ew_core::Exit::Config);
        assert_eq!(ledger.sending(&one, &third, "file:///out", "csv").unwrap().name, "c.csv");
    }

    #[test]
    fn a_name_belongs_to_one_slice_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let (one, two) = (ledger.make_job("one").unwrap(), ledger.make_job("two").unwrap());
        let name = |d: Delivery| d.name.unwrap();
        assert_eq!(name(ledger.record_rendered(&one, None, &slice(0, "a.csv")).unwrap()), "a.csv");
        assert_eq!(name(ledger.record_rendered(&two, None, &slice(0, "a.csv")).unwrap()), "a_2.csv");
        assert_eq!(name(ledger.record_rendered(&one, None, &slice(900, "a.csv")).unwrap()), "a_3.csv");
        // A revision of the same slice takes its own name again.
        let revision = NewSlice { rev: 1, ..slice(0, "a.csv") };
        assert_eq!(name(ledger.record_rendered(&one, None, &revision).unwrap()), "a.csv");
    }
}
