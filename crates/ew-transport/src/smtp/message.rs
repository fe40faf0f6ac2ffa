//! The mail itself: a function of the options and the slice, the same byte for byte whenever it is sent.

use super::{MailWay, SmtpOptions};
use crate::error::{ErrorKind, Fault};
use crate::source::{Source, parcel_id};
use crate::{Compression, Parcel};
use ew_core::Timestamp;
use lettre::message::header::{
    ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Attachment, Body, Mailboxes, Message, MultiPart, SinglePart, header};
use std::time::{Duration, SystemTime};

/// A mail, ready to be sent.
pub(crate) struct Letter {
    pub(crate) bytes: Vec<u8>,
}

/// What a slice is known by among mails: of destination, name and content, and of nothing else.
pub(crate) fn id(options: &SmtpOptions, destination: &str, parcel: &Parcel<'_>) -> String {
    let digest = parcel_id(destination, parcel);
    // The right side only has to be a domain; the digest is unique by itself.
    let host = match &options.way {
        MailWay::Server(server) => server.host.as_str(),
        MailWay::Sendmail(_) => options.from.domain(),
    };
    let is_domain =
        host.contains('.') && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    format!("<{digest}@{}>", if is_domain { host } else { "localhost" })
}

impl Letter {
    /// Reads the file and makes the mail, unless it is larger than the server takes.
    pub(crate) fn compose(options: &SmtpOptions, id: &str, parcel: &Parcel<'_>) -> Result<Letter, Fault> {
        // Base64 makes four bytes of three: what can never fit is not even read.
        check_size(options, parcel.bytes / 3 * 4)?;
        let content = read(parcel)?;
        let mailboxes = |list: &[super::MailAddress]| -> Mailboxes {
            list.iter().map(|address| address.mailbox().clone()).collect()
        };
        let mut builder = Message::builder()
            .message_id(Some(id.to_owned()))
            .date(date(parcel.fields.window.end))
            .from(options.from.mailbox().clone());
        if !options.to.is_empty() {
            builder = builder.mailbox(header::To::from(mailboxes(&options.to)));
        }
        if !options.cc.is_empty() {
            builder = builder.mailbox(header::Cc::from(mailboxes(&options.cc)));
        }
        let builder = builder
            .subject(one_line(&options.subject.expand(&parcel.fields)))
            // RFC 3834: nobody's absence notice answers it.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        // Base64 always. As 7bit, which looks enough for ASCII, servers turn the line ends into their own,
        // and the checksum at the receiver would be another one.
        let encoded = Body::new_with_encoding(content, ContentTransferEncoding::Base64)
            .map_err(|_| Fault::new(ErrorKind::Local, "encode the file as base64"))?;
        let message = match options.as_attachment {
            true => {
                // Not text/csv: a mail program may give text the line ends of its own machine.
                let attachment = Attachment::new(parcel.name.to_owned()).body(encoded, content_type(options));
                let text = options.body.part(parcel);
                // lettre's own boundary is a random one.
                let boundary = id.trim_matches(['<', '>']).split('@').next().unwrap_or("ew");
                let parts = MultiPart::mixed().boundary(format!("=_{boundary}"));
                builder.multipart(parts.singlepart(text).singlepart(attachment))
            }
            false => builder.singlepart(
                SinglePart::builder()
                    .header(ContentType::TEXT_PLAIN)
                    .header(ContentDisposition::inline_with_name(parcel.name))
                    .body(encoded),
            ),
        };
        let message = message.map_err(|e| Fault::new(ErrorKind::Config, format!("make the mail: {e}")))?;
        let bytes = message.formatted();
        check_size(options, bytes.len() as u64)?;
        Ok(Letter { bytes })
    }
}

fn content_type(options: &SmtpOptions) -> ContentType {
    let name = options.compress.map_or("application/octet-stream", Compression::media_type);
    // Parsing a constant cannot fail; TEXT_PLAIN is what there is to fall back on.
    ContentType::parse(name).unwrap_or(ContentType::TEXT_PLAIN)
}

fn check_size(options: &SmtpOptions, bytes: u64) -> Result<(), Fault> {
    match options.max_bytes {
        Some(max) if bytes > max => Err(Fault::new(
            ErrorKind::TooLarge,
            format!("the mail would have {bytes} bytes or more, max_bytes is {max}"),
        )
        .hint(
            "make the files smaller by breakup_on_period = true or a shorter period, or send them by another \
             transport, such as sftp; raise max_bytes only if the server takes more. What is recorded stays as it is: \
             where max_bytes cannot be raised, ew-ledger skip goes on without it",
        )),
        _ => Ok(()),
    }
}

/// The whole file: a mail is made in memory, of which it takes about three times its size.
fn read(parcel: &Parcel<'_>) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::with_capacity(usize::try_from(parcel.bytes).unwrap_or(0));
    Source::open(parcel)?.each(|piece| {
        content.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(content)
}

/// The end of the slice: a date that stays the same when the mail is sent again. Mail knows no time before
/// 1970 nor after 9999.
fn date(end: Timestamp) -> SystemTime {
    const LAST_SECOND: i64 = 253_402_300_799;
    let seconds = (end.micros().div_euclid(1_000_000)).clamp(0, LAST_SECOND);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

/// A line break, which strftime has a sign for, would begin a header of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::hex;
    use crate::{Mark, Steps};
    use ew_core::{NameFields, Window, Zone};
    use sha2::{Digest, Sha256};
    use std::io::Write;

    fn options(more: &str) -> SmtpOptions {
        let text = format!(
            "host = \"mail.example.com\"\nfrom = \"ew@example.com\"\nto = [\"a@example.com\"]\n{more}"
        );
        toml::from_str(&text).unwrap()
    }

    /// The mail of a file `x` for a slice that ends then.
    fn mail(options: &SmtpOptions, name: &str, end: Timestamp) -> String {
        mail_of(options, name, end, b"x")
    }

    fn mail_of(options: &SmtpOptions, name: &str, end: Timestamp, content: &[u8]) -> String {
        let zone = Zone::utc();
        let window = Window::new(Timestamp::MIN.max(end.plus_micros(-900_000_000)), end);
        let fields =
            NameFields { job: "u", site: "", zone: &zone, window, rev: 0, seq: 1, count: 1, ext: "csv" };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let (file, sha256, bytes) =
            (file.path(), &hex(Sha256::new_with_prefix(content)), content.len() as u64);
        let parcel = Parcel {
            name,
            file,
            bytes,
            sha256,
            is_checked: false,
            rows: Some(1),
            sent_before: false,
            was_whole: false,
            earlier: None,
            may_replace: false,
            reached: &[],
            fields,
            mark: Mark::NONE,
            steps: Steps::NONE,
        };
        let id = id(options, "smtp://d", &parcel);
        String::from_utf8(Letter::compose(options, &id, &parcel).unwrap().bytes).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_mail_is_a_function_of_options_and_slice() {
        let (options, end) = (options(""), at("2026-03-01T00:15:00Z"));
        let first = mail(&options, "u.csv", end);
        assert_eq!(first, mail(&options, "u.csv", end));
        let id = |mail: &str| mail.lines().find(|line| line.starts_with("Message-ID: ")).unwrap().to_owned();
        assert!(id(&first).ends_with("@mail.example.com>"), "{}", id(&first));
        assert_ne!(id(&first), id(&mail(&options, "v.csv", end)));
        // What is said about the slice does not change what it is known by.
        let other = super::tests::options("subject = \"other\"");
        assert_eq!(id(&first), id(&mail(&other, "u.csv", end)));
    }

    #[test]
    fn dates_beyond_what_mail_knows() {
        for (end, date) in [
            ("2026-03-01T00:15:00.9Z", "Date: Sun, 01 Mar 2026 00:15:00 +0000"),
            ("1969-12-31T23:59:59Z", "Date: Thu, 01 Jan 1970 00:00:00 +0000"),
        ] {
            assert!(mail(&options(""), "u.csv", at(end)).contains(date), "{end}");
        }
        assert!(mail(&options(""), "u.csv", Timestamp::MAX).contains("Date: "));
    }

    #[test]
    fn no_template_begins_a_header_of_its_own() {
        let odd = options("subject = \"a{start:%n}Bcc: b@example.com\\r\\nX: y\"\nbody = \".\\r\\n.\\n\"");
        let mail = mail(&odd, "u.csv", at("2026-03-01T00:15:00Z"));
        assert!(!mail.contains("\nBcc:") && !mail.contains("\nX:"), "{mail}");
        assert!(mail.contains("Subject: a Bcc: b@example.com  X: y\r\n"), "{mail}");
    }

    #[test]
    fn names_of_any_letters_and_length() {
        for name in ["Zähler \"7\"; x.csv".to_owned(), format!("{}.csv", "ü".repeat(110)), "a".repeat(240)]
        {
            let mail = mail(&options(""), &name, at("2026-03-01T00:15:00Z"));
            assert!(mail.is_ascii() && mail.lines().all(|line| line.len() < 999), "{mail}");
        }
    }

    /// What is cut to fit does.
    #[test]
    fn a_file_of_the_size_to_cut_at_fits() {
        use crate::Transport;
        for more in [
            "split = true\nmax_bytes = 30000",
            "split = true\nmax_bytes = 30000\nsummary = true\nbody_format = \"html\"\nsubject = \"ü{job}ü{start:%c}\"",
            "split = true\nmax_bytes = 6000\nas_attachment = false",
        ] {
            let options = options(more);
            let content = vec![b'x'; usize::try_from(options.cut_above().unwrap()).unwrap()];
            let mail = mail_of(&options, &"ü".repeat(120), at("2026-03-01T00:15:00Z"), &content);
            assert!(mail.len() as u64 <= options.max_bytes.unwrap(), "{more}: {}", mail.len());
        }
    }
}
