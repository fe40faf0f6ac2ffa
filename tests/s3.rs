//! Object storage, on a server that checks signatures: refusals, conditions, parts, lost replies.
#![allow(clippy::unwrap_used)]

#[path = "support/s3.rs"]
mod s3;
#[path = "support/spool.rs"]
mod spool;
#[path = "support/told.rs"]
mod told;
/// For the spool's secrets; nothing here speaks SSH.
mod sshd {
    pub(crate) const KEY_PASSWORD: &str = "";
}

use ew_core::{Exit, Secret, SecretSource, Span};
use ew_transport::{
    Ability, Answer, Can, Checked, Context, Finding, How, Look, Parcel, Probe, Size, TransportOptions,
    Transporter,
};
use s3::{SECRET, Storage};
use spool::{Spool, open, options};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Two parts and a bit.
const LARGE: usize = 11 * 1024 * 1024;

fn of(storage: &Storage, more: &str) -> TransportOptions {
    options(&format!("[s3]\n{}", storage.table(more)))
}

fn to(storage: &Storage) -> Box<dyn Transporter> {
    open(&of(storage, "multipart_above = 5242880"))
}

/// The same with one text of the table replaced.
fn but(storage: &Storage, from: &str, to: &str) -> TransportOptions {
    let table = storage.table("");
    assert!(table.contains(from));
    options(&format!("[s3]\n{}", table.replace(from, to)))
}

fn with<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let resolve = |source: &SecretSource| match source {
        SecretSource::Plain(secret) => Ok::<Secret, String>(secret.clone()),
        _ => Err("there is no such secret".to_owned()),
    };
    let timeout = Span(Duration::from_secs(20));
    run(&Context { base: Path::new("/nowhere"), timeout, resolve: &resolve })
}

fn look(options: &TransportOptions) -> Box<dyn Look> {
    with(|context| options.look(context).unwrap().unwrap())
}

fn probe(options: &TransportOptions) -> Probe {
    with(|context| options.probe(context, ".ew-probe-1"))
}

#[test]
fn a_wrong_secret_is_refused() {
    let storage = Storage::start();
    let spool = Spool::new("x");
    for (from, to, code, hint) in [
        (SECRET, "hunter2", "SignatureDoesNotMatch", "secret_access_key"),
        (s3::ACCESS_KEY, "AKNOBODY", "InvalidAccessKeyId", "access_key_id"),
    ] {
        let options = but(&storage, from, to);
        let error = open(&options).deliver(&spool.parcel("u.csv")).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
        assert!(error.is_of_receiver() && error.to_string().contains(code), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let error = look(&options).list();
        let error = error.unwrap_err();
        assert_eq!(error.exit(), Exit::Refused, "{error}");
    }
    assert!(storage.names().is_empty());
    // In parts too, and the region is signed with everything else.
    let options =
        options(&format!("[s3]\n{}", storage.table("multipart_above = 5242880").replace(SECRET, "y")));
    let error = open(&options).deliver(&Spool::large(LARGE).parcel("u.csv")).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    assert_eq!(
        open(&of(&storage, "region = \"eu-1\"")).deliver(&spool.parcel("u.csv")).unwrap().how,
        How::Sent
    );
}

#[test]
fn a_bucket_is_never_made() {
    let storage = Storage::start();
    let options = but(&storage, "\"meters\"", "\"nowhere\"");
    let error = open(&options).deliver(&Spool::new("x").parcel("u.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, false), "{error}");
    assert!(error.is_of_receiver() && error.to_string().contains("NoSuchBucket"), "{error}");
    assert!(error.hint().unwrap().contains("make the bucket"), "{error:?}");
}

#[test]
fn what_the_object_says_of_itself() {
    let storage = Storage::start();
    for (name, spool) in [("small", Spool::new("x")), ("large", Spool::large(LARGE))] {
        let receipt = to(&storage).deliver(&spool.parcel(name)).unwrap();
        assert_eq!(
            (receipt.how, receipt.checked, receipt.path),
            (How::Sent, Checked::Size, format!("site/in/{name}"))
        );
        assert!(fs::read(storage.objects().join(name)).unwrap() == spool.bytes, "{name} is another");
        assert!(storage.about(name).contains(&spool.sha256), "{}", storage.about(name));
    }
    assert_eq!(storage.begun(), 0);
}

#[test]
fn a_busy_server_is_tried_again() {
    let storage = Storage::start();
    storage.set_faults("slow-down");
    let mut transporter = to(&storage);
    let spool = Spool::new("x");
    let error = transporter.deliver(&spool.parcel("u.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    assert!(error.to_string().contains("SlowDown"), "{error}");
    assert_eq!(transporter.deliver(&spool.parcel("u.csv")).unwrap().how, How::Sent);
}

/// Done, and nobody was told: the next attempt looks, and sends nothing.
#[test]
fn a_lost_reply_is_no_second_object() {
    let storage = Storage::start();
    for (name, spool) in [("small", Spool::new("x")), ("large", Spool::large(LARGE))] {
        storage.set_faults("drop-reply");
        let mut transporter = to(&storage);
        let error = transporter.deliver(&spool.parcel(name)).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
        let again = Parcel { sent_before: true, ..spool.parcel(name) };
        let receipt = transporter.deliver(&again).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Found, Checked::Sha256));
    }
    assert_eq!((storage.names(), storage.begun()), (vec!["large".to_owned(), "small".to_owned()], 0));
}

/// Parts that never became an object cost money, and no listing shows them.
#[test]
fn no_parts_are_left() {
    let storage = Storage::start();
    let (spool, other) = (Spool::large(LARGE), Spool::new("x"));
    let altered = Parcel { sha256: &other.sha256, ..spool.parcel("u.csv") };
    for (fault, parcel, exit) in [
        ("stop-parts", spool.parcel("u.csv"), Exit::Unavailable),
        ("late-error", spool.parcel("u.csv"), Exit::Unavailable),
        ("", altered, Exit::Io),
    ] {
        storage.set_faults(fault);
        let error = to(&storage).deliver(&parcel).unwrap_err();
        assert_eq!(
            (error.exit(), error.is_retryable()),
            (exit, exit == Exit::Unavailable),
            "{fault}: {error}"
        );
        assert_eq!((storage.names().len(), storage.begun()), (0, 0), "{fault}");
    }
    // What an attempt that was killed has left goes with the next one; somebody else's stays.
    for key in ["site/in/u.csv", "site/in/u.csv.gz"] {
        let folder = storage.begin(key);
        fs::create_dir_all(folder.join("parts")).unwrap();
    }
    let again = Parcel { sent_before: true, ..spool.parcel("u.csv") };
    assert_eq!(to(&storage).deliver(&again).unwrap().how, How::Sent);
    assert_eq!(storage.begun(), 1);
}

/// A key that may write and nothing else.
#[test]
fn what_cannot_be_seen_is_not_replaced() {
    let storage = Storage::start();
    storage.set_faults("write-only");
    for (name, spool) in [("small", Spool::new("x")), ("large", Spool::large(LARGE))] {
        let receipt = to(&storage).deliver(&spool.parcel(name)).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Sent, Checked::Reply));
        let error = to(&storage).deliver(&spool.parcel(name)).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
        assert!(error.hint().unwrap().contains("s3:GetObject"), "{error:?}");
        // A revision has to go there all the same.
        let longer = Spool::new([spool.bytes.as_slice(), b"more"].concat());
        to(&storage).deliver(&Parcel { may_replace: true, ..longer.parcel(name) }).unwrap();
        assert!(fs::read(storage.objects().join(name)).unwrap() == longer.bytes);
    }
    assert_eq!(storage.begun(), 0);
}

#[test]
fn a_service_without_the_condition_takes_files() {
    let storage = Storage::start();
    storage.set_faults("no-condition");
    for (name, spool) in [("small", Spool::new("x")), ("large", Spool::large(LARGE))] {
        assert_eq!(to(&storage).deliver(&spool.parcel(name)).unwrap().how, How::Sent);
        // It is looked for before.
        let other = Spool::new("somebody's");
        let error = to(&storage).deliver(&other.parcel(name)).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused, "{error}");
    }
}

#[test]
fn the_bucket_is_looked_at() {
    let storage = Storage::start();
    let mut look = look(&of(&storage, ""));
    assert_eq!(look.list().unwrap(), Answer::Is(vec![]));
    // More than one page of a listing, and what is not in this folder.
    fs::create_dir_all(storage.objects().join("below")).unwrap();
    fs::write(storage.objects().join("below/u.csv"), "").unwrap();
    let mut expected: Vec<String> = (0..1050).map(|n| format!("u {n:04} & Zähler.csv")).collect();
    for name in &expected {
        fs::write(storage.objects().join(name), "four").unwrap();
    }
    let Answer::Is(mut entries) = look.list().unwrap() else { panic!("it is not told") };
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    expected.sort();
    assert!(entries.iter().all(|entry| entry.bytes == Some(4)));
    assert_eq!(entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>(), expected);

    let (there, absent) = (expected[7].as_str(), "absent");
    assert_eq!(look.size(there).unwrap(), Answer::Is(Size::Bytes(4)));
    assert_eq!(look.size(absent).unwrap(), Answer::Absent);
    assert_eq!(look.read(there, 100).unwrap(), Answer::Is(b"four".to_vec()));
    assert_eq!(look.read(absent, 100).unwrap(), Answer::Absent);
    let Answer::Is(content) = look.hash(there, 100).unwrap() else { panic!("it is not told") };
    assert_eq!((content.bytes, content.sha256), (4, Spool::new("four").sha256));
    storage.set_faults("write-only");
    assert!(matches!(look.size(there).unwrap(), Answer::Unknown(_)));
    assert!(matches!(look.list().unwrap(), Answer::Unknown(_)));
}

#[test]
fn a_probe_takes_its_object_away() {
    use Ability::{Connect, Directory, List, LogIn, ReadBack, Remove, Replace, Stat, Write};
    let storage = Storage::start();
    let found = |probe: &Probe| -> Vec<(Ability, Can)> {
        probe.abilities.iter().map(|Finding { ability, can, .. }| (*ability, *can)).collect()
    };
    let yes =
        |abilities: &[Ability]| abilities.iter().map(|ability| (*ability, Can::Yes)).collect::<Vec<_>>();
    let whole = probe(&of(&storage, ""));
    assert!(whole.error.is_none() && whole.left.is_empty(), "{whole:?}");
    let all = [Connect, LogIn, Directory, Write, Stat, ReadBack, Replace, List, Remove];
    assert_eq!(found(&whole), yes(&all));
    assert!(whole.abilities.iter().all(|finding| finding.note.is_none()), "{whole:?}");
    assert!(storage.names().is_empty());

    for (options, gone, exit) in [
        (but(&storage, SECRET, "x"), LogIn, Exit::Refused),
        (but(&storage, "\"meters\"", "\"nowhere\""), Directory, Exit::Unavailable),
    ] {
        let probe = probe(&options);
        assert_eq!(found(&probe).last(), Some(&(gone, Can::No)));
        assert_eq!(probe.error.unwrap().exit(), exit);
    }
    storage.set_faults("no-condition");
    let without = probe(&of(&storage, ""));
    let note = without.abilities.iter().find(|finding| finding.ability == Write).unwrap().note.as_ref();
    assert!(note.unwrap().contains("If-None-Match"), "{without:?}");
    assert_eq!(found(&without), yes(&all));
}

#[test]
fn nobody_there() {
    let storage = Storage::start();
    let options = of(&storage, "");
    drop(storage);
    let error = open(&options).deliver(&Spool::new("x").parcel("u.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    assert_eq!(probe(&options).abilities.last().unwrap().ability, Ability::Connect);
}

#[test]
fn a_listing_without_end() {
    let storage = Storage::start();
    let mut page = 0;
    let port = told::start(move |_, _, _| {
        page += 1;
        let xml = format!(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>site/in/</Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>\
             <IsTruncated>true</IsTruncated><NextContinuationToken>{page}</NextContinuationToken></ListBucketResult>"
        );
        told::with("200 OK", xml.as_bytes())
    });
    let options = but(&storage, &storage.endpoint(), &format!("http://127.0.0.1:{port}"));
    let told = look(&options).list().unwrap();
    assert!(matches!(&told, Answer::Unknown(why) if why.contains("more than")), "{told:?}");
}
