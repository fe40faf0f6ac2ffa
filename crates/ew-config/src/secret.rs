//! Fetching secrets.

use ew_core::{Secret, SecretSource};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may take. It must not wait for a person: a poll of cron's would wait with it.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);

/// The longest secret that a command may print, bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Fetches a secret. Paths are relative to `base`. The error says why there is none, never what it is.
pub fn resolve(source: &SecretSource, base: &Path) -> Result<Secret, String> {
    let text = match source {
        SecretSource::Plain(secret) => return Ok(secret.clone()),
        SecretSource::File(path) => read(&base.join(path))?,
        SecretSource::Env(name) => {
            std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?
        }
        SecretSource::Credential(name) => {
            let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                format!("no credential {name}: $CREDENTIALS_DIRECTORY is not set (systemd's LoadCredential= sets it)")
            })?;
            read(&Path::new(&dir).join(name))?
        }
        SecretSource::Command(words) => run(words, base)?,
    };
    Ok(Secret::new(without_line_break(&text)))
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("cannot read the secret in {}: {e}", path.display()))
}

fn run(words: &[String], base: &Path) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("the command of a secret is empty".into());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(base)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot run {program} for a secret: {e}"))?;
    // The thread ends with the pipe, and so with the child, or is left behind with a grandchild.
    let (tell, told) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stdout.take(SECRET_BYTES_MAX).read_to_end(&mut text);
            let _ = tell.send(text);
        });
    }
    let deadline = Instant::now() + COMMAND_TIME_MAX;
    let text = told.recv_timeout(COMMAND_TIME_MAX);
    let status = loop {
        match child.try_wait().map_err(|e| format!("cannot wait for {program}, run for a secret: {e}"))? {
            Some(status) => break status,
            None if text.is_err() || Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "{program}, run for a secret, took longer than {} s",
                    COMMAND_TIME_MAX.as_secs()
                ));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    if !status.success() {
        return Err(format!("{program}, run for a secret, ended with {status}"));
    }
    let text = text.map_err(|_| format!("{program}, run for a secret, kept its output open"))?;
    String::from_utf8(text).map_err(|_| format!("{program}, run for a secret, printed no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), "hunter2\r\n").unwrap();
        let get = |source| resolve(&source, dir.path()).map(|secret| secret.expose().to_owned());
        assert_eq!(get(SecretSource::Plain(Secret::new("x"))).unwrap(), "x");
        assert_eq!(get(SecretSource::File("pw".into())).unwrap(), "hunter2");
        assert_eq!(get(SecretSource::Command(vec!["cat".into(), "pw".into()])).unwrap(), "hunter2");
        assert!(get(SecretSource::Env("EW_NOT_SET_ANYWHERE".into())).unwrap_err().contains("not set"));
        assert!(get(SecretSource::Command(vec!["false".into()])).unwrap_err().contains("exit status: 1"));
        let stuck = vec!["sleep".into(), "60".into()];
        assert!(get(SecretSource::Command(stuck)).unwrap_err().contains("took longer than 10 s"));
    }
}
