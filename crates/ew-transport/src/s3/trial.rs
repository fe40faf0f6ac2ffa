//! What a bucket can do, request by request, tried with an object that is taken away again.

use super::S3Options;
use super::access::Access;
use super::deliver::{Condition, on_condition};
use super::look::{Seen, list, read_back, see};
use crate::error::{ErrorKind, Fault};
use crate::probe::CONTENT;
use crate::{Ability, Can, Probe};

/// Tries everything that a delivery needs, and what it can make use of.
pub(crate) fn run(access: &Access, options: &S3Options, name: &str, probe: &mut Probe) -> Result<(), Fault> {
    let key = access.key(name)?;
    let seen = see(access, &key);
    probe.needs(Ability::Connect, seen.map(|_| ()))?;
    if options.endpoint.is_tls() {
        probe.add(Ability::Tls, Can::Yes, None);
    }
    let written = write(access, &key, false);
    let is = |kind| matches!(&written, Err(fault) if fault.of_receiver && fault.kind == kind);
    let (is_stranger, is_nowhere) = (is(ErrorKind::Refused), is(ErrorKind::Missing));
    for (ability, is_missing) in [(Ability::LogIn, is_stranger), (Ability::Directory, is_nowhere)] {
        match &written {
            Err(fault) if is_missing => probe.needs(ability, Err(fault.clone()))?,
            _ => probe.add(ability, Can::Yes, None),
        }
    }
    if written.is_err() {
        return probe.needs(Ability::Write, written.map(|_| ()));
    }
    let tried = each(access, &key, probe);
    let removed = remove(access, &key);
    if removed.is_err() {
        probe.left.push(key);
    }
    probe.tried(Ability::Remove, &removed);
    tried
}

/// What comes after the object is made.
fn each(access: &Access, key: &str, probe: &mut Probe) -> Result<(), Fault> {
    let note = match write(access, key, true)? {
        false => None,
        true => Some(
            "it does not know If-None-Match: what somebody else writes there in the same moment is lost"
                .to_owned(),
        ),
    };
    probe.add(Ability::Write, Can::Yes, note);
    match see(access, key)? {
        Seen::Object(bytes) if bytes == CONTENT.len() as u64 => probe.add(Ability::Stat, Can::Yes, None),
        Seen::Object(bytes) => {
            let reason = format!("{key} has {bytes} bytes of {} there", CONTENT.len());
            return probe.needs(Ability::Stat, Err(Fault::new(ErrorKind::FarSide, reason)));
        }
        Seen::Untold(why) => probe.add(Ability::Stat, Can::No, Some(why)),
        Seen::Nothing => {
            probe.add(Ability::Stat, Can::No, Some(format!("{key} is not there after it was put")))
        }
    }
    let back =
        read_back::<Vec<u8>>(access, key, CONTENT.len() as u64).and_then(|back| match back == CONTENT {
            true => Ok(()),
            false => Err(Fault::new(ErrorKind::FarSide, format!("{key} reads back with other content"))),
        });
    probe.tried(Ability::ReadBack, &back);
    let replaced = write(access, key, false);
    probe.tried(Ability::Replace, &replaced);
    probe.tried(Ability::List, &list(access));
    Ok(())
}

/// Makes the object; false where `only_new` and it is there.
fn write(access: &Access, key: &str, only_new: bool) -> Result<bool, Fault> {
    let operation = format!("put {key}");
    let put = |condition: Condition| {
        let headers: Vec<_> = condition.into_iter().collect();
        let action = access.bucket.put_object(access.credentials(), key);
        access.ask(&operation, action, &headers, Some((&mut { CONTENT }, CONTENT.len() as u64)))
    };
    Ok(on_condition(access, &operation, only_new, put)?.is_some())
}

fn remove(access: &Access, key: &str) -> Result<(), Fault> {
    let operation = format!("remove {key}");
    let action = access.bucket.delete_object(access.credentials(), key);
    access.must(&operation, action, &[], None).map(|_| ())
}
