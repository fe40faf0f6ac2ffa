//! What was seen of delivered slices at their receiver.

use crate::error::StoreError;
use crate::ledger::{Delivery, Ledger};
use ew_core::Timestamp;
use rusqlite::{TransactionBehavior, params};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

/// How much was proved of a file at the receiver, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// A file of its name is there.
    Listed,
    /// And has its size.
    Size,
    /// And, read back, its SHA-256.
    Hash,
}

impl Proof {
    /// The word on command lines, in reports and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::Listed => "listed",
            Proof::Size => "size",
            Proof::Hash => "hash",
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Proof {
    type Err = String;

    fn from_str(text: &str) -> Result<Proof, String> {
        [Proof::Listed, Proof::Size, Proof::Hash]
            .into_iter()
            .find(|proof| proof.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of hash, size, listed"))
    }
}

/// What was seen of one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there, as far as was proved.
    There(Proof),
    /// It is not there, or not as it was delivered: what was seen.
    Not(String),
}

impl Ledger<'_> {
    /// Notes what was seen of delivered slices. By size or hash a placed one becomes verified; one that is not
    /// there as delivered is placed again, with the reason. A slice that an export has touched since it was
    /// read is left alone. A listing takes nothing from what was proved before.
    pub fn note_seen(&mut self, seen: &[(Delivery, Seen)], at: Timestamp) -> Result<(), StoreError> {
        let sql = self.sql("note what is at the receiver");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        for (slice, seen) in seen {
            let (proof, reason) = match seen {
                Seen::There(proof) => (Some(*proof), None),
                Seen::Not(reason) => (None, Some(reason)),
            };
            if proof == Some(Proof::Listed)
                && slice.verified.is_some_and(|(before, _)| before > Proof::Listed)
            {
                continue;
            }
            tx.prepare_cached(
                "update slice set proof = ?3, verified_at = ?4, reason = ?5,
                     state = case when state = 'superseded' then state
                         when ?3 in ('hash', 'size') then 'verified' else 'placed' end
                 where id = ?1 and state in ('placed', 'verified', 'superseded') and attempts = ?2 and spool is null",
            )
            .and_then(|mut update| {
                let at = proof.map(|_| at.micros());
                update.execute(params![slice.id, slice.attempts, proof.map(Proof::as_str), at, reason])
            })
            .map_err(&sql)?;
        }
        tx.commit().map_err(&sql)
    }

    /// Every name at a destination that belongs to a slice, of whichever job.
    pub fn names_at(&self, destination: &str) -> Result<HashSet<String>, StoreError> {
        let sql = self.sql("read the names");
        let mut select =
            self.conn.prepare_cached("select name from file_name where destination = ?1").map_err(&sql)?;
        let names: rusqlite::Result<HashSet<String>> =
            select.query_map([destination], |row| row.get(0)).map_err(&sql)?.collect();
        names.map_err(&sql)
    }
}
