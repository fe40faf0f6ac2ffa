//! Fetching secrets.

use ew_core::{Secret, SecretSource};
use std::path::Path;
use std::process::{Command, Stdio};

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
    let output = Command::new(program)
        .args(arguments)
        .current_dir(base)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {program} for a secret: {e}"))?;
    if !output.status.success() {
        return Err(format!("{program}, run for a secret, ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{program}, run for a secret, printed no UTF-8"))
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
    }
}
