//! Delivers one file as a transporter's table says, from the shell: for trials, and for tests that need an
//! environment or a limit of their own.
//!
//! `deliver OPTIONS.toml FILE NAME [SHA256]`, where OPTIONS.toml holds one table, `[file]`, `[sftp]`, `[ftp]` or
//! `[smtp]`. With the SHA-256 of the file it is not read before it is sent.

use ew_core::{NameFields, Secret, SecretSource, Span, Timestamp, Window, Zone};
use ew_transport::{Context, Mark, Parcel, Steps, TransportOptions};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [options, file, name, known @ ..] = arguments.as_slice() else {
        eprintln!("usage: deliver OPTIONS.toml FILE NAME [SHA256]");
        return Ok(ExitCode::from(2));
    };
    let options: TransportOptions = toml::from_str(&std::fs::read_to_string(options)?)?;
    let sha256 = match known {
        [known, ..] => known.clone(),
        [] => Sha256::digest(std::fs::read(file)?).iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let plain = |source: &SecretSource| match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        _ => Err::<Secret, _>("only secrets written out are known here".to_owned()),
    };
    let context = Context { base: Path::new("."), timeout: Span::from_secs(20), resolve: &plain };
    let bytes = std::fs::metadata(file)?.len();
    let zone = Zone::utc();
    let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(0));
    let fields =
        NameFields { job: "deliver", site: "", zone: &zone, window, rev: 0, seq: 0, count: 0, ext: "" };
    let file = Path::new(file);
    let parcel = Parcel {
        name,
        file,
        bytes,
        sha256: &sha256,
        is_checked: true,
        rows: None,
        sent_before: false,
        was_whole: false,
        earlier: None,
        may_replace: true,
        reached: &[],
        fields,
        mark: Mark::NONE,
        steps: Steps::NONE,
    };
    match options.open(&context).and_then(|mut transporter| transporter.deliver(&parcel)) {
        Ok(receipt) => {
            eprintln!("{}", serde_json::to_string(&receipt)?);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::from(error.exit().code()))
        }
    }
}
