//! A large file in parts, which become an object together or not at all.

use super::access::{Access, document, unread};
use super::deliver::{Condition, about, on_condition};
use super::fault::{element, late_error};
use crate::Parcel;
use crate::error::Fault;
use crate::web::Upload;
use rusty_s3::S3Action;
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload};
use std::io::{self, Read};
use ureq::http::header::ETAG;

/// How many parts there may be.
const PARTS_MAX: u64 = 10_000;

/// Sends it; false where `only_new` and the key is there. Where it fails, its parts go: they cost money, and no
/// listing shows them.
pub(crate) fn send(
    access: &Access,
    parcel: &Parcel<'_>,
    key: &str,
    part_bytes: u64,
    only_new: bool,
) -> Result<bool, Fault> {
    let operation = format!("begin {key}");
    let headers = about(parcel);
    let action = access.bucket.create_multipart_upload(access.credentials(), key);
    let begun = access.must(&operation, action, &headers, Some((&mut io::empty(), 0)))?;
    let begun = CreateMultipartUpload::parse_response(&document(&operation, begun)?)
        .map_err(|e| unread(&operation, &e))?;
    let id = begun.upload_id();
    parcel.steps.done("opened");
    let sent = upload(access, parcel, key, id, part_bytes)
        .inspect(|_| parcel.steps.done("written"))
        .and_then(|etags| complete(access, key, id, &etags, only_new));
    if !matches!(sent, Ok(true)) {
        // The first failure is the one to tell.
        let _ = abort(access, key, id);
    }
    sent
}

/// The parts, one after the other, and what the server calls each.
fn upload(
    access: &Access,
    parcel: &Parcel<'_>,
    key: &str,
    id: &str,
    least: u64,
) -> Result<Vec<String>, Fault> {
    let part_bytes = least.max(parcel.bytes.div_ceil(PARTS_MAX));
    let mut file = Upload::between(parcel, Vec::new(), Vec::new())?;
    let (mut etags, mut left) = (Vec::new(), parcel.bytes);
    for number in 1.. {
        let bytes = left.min(part_bytes);
        if bytes == 0 {
            break;
        }
        let operation = format!("put part {number} of {key}");
        let action = access.bucket.upload_part(access.credentials(), key, number, id);
        let response = match access.must(&operation, action, &[], Some((&mut (&mut file).take(bytes), bytes)))
        {
            Ok(response) => response,
            Err(fault) => return Err(file.fault().unwrap_or(fault)),
        };
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        etags.push(etag.ok_or_else(|| unread(&operation, &"the part has no ETag"))?.to_owned());
        left -= bytes;
    }
    Ok(etags)
}

fn complete(access: &Access, key: &str, id: &str, etags: &[String], only_new: bool) -> Result<bool, Fault> {
    let operation = format!("complete {key}");
    let action = || {
        access.bucket.complete_multipart_upload(
            access.credentials(),
            key,
            id,
            etags.iter().map(String::as_str),
        )
    };
    let body = action().body();
    let ask = |condition: Condition| {
        let headers: Vec<_> = condition.into_iter().collect();
        access.ask(&operation, action(), &headers, Some((&mut body.as_bytes(), body.len() as u64)))
    };
    let Some(response) = on_condition(access, &operation, only_new, ask)? else { return Ok(false) };
    let text = document(&operation, response)?;
    match CompleteMultipartUploadResponse::parse(&text) {
        Ok(_) => Ok(true),
        Err(e) => Err(late_error(&operation, &text).unwrap_or_else(|| unread(&operation, &e))),
    }
}

fn abort(access: &Access, key: &str, id: &str) -> Result<(), Fault> {
    let operation = format!("abort {key}");
    let action = access.bucket.abort_multipart_upload(access.credentials(), key, id);
    access.must(&operation, action, &[], None).map(|_| ())
}

/// Takes away the parts that attempts which were killed have left. A service that does not list them keeps them.
pub(crate) fn abort_left(access: &Access, key: &str) -> Result<(), Fault> {
    let operation = format!("list the parts of {key}");
    // The crate has no request for it; this one asks the bucket too, for something else.
    let mut action = access.bucket.list_objects_v2(access.credentials());
    let query = action.query_mut();
    query.remove("list-type");
    query.remove("encoding-type");
    query.insert("prefix", key);
    query.insert("uploads", "");
    let response = access.ask(&operation, action, &[], None)?;
    if !response.status().is_success() {
        return Ok(());
    }
    let text = document(&operation, response)?;
    for upload in text.split("<Upload>").skip(1) {
        let there = element(upload, "Key").and_then(|key| quick_xml::escape::unescape(key).ok());
        if let (true, Some(id)) = (there.is_some_and(|there| there == key), element(upload, "UploadId")) {
            // Somebody else may have been quicker.
            let _ = abort(access, key, id);
        }
    }
    Ok(())
}
