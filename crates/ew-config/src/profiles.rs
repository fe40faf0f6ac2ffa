//! The profiles that switches may name: the shipped ones, those of `ew.toml` and those of `profile_files`.

use crate::error::ConfigError;
use crate::options::Tables;
use ew_energy::{ProfileOptions, Profiles};
use serde::Deserialize;
use std::path::Path;

/// A file of `profile_files`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    #[serde(default)]
    profile: Vec<ProfileOptions>,
}

/// Reads and checks them. A mistake is shown in the file that it stands in.
pub(crate) fn profiles(file: &Path, text: &str, tables: &Tables) -> Result<Profiles, ConfigError> {
    let mut own = tables.profile.clone();
    check(file, text, &own)?;
    for name in &tables.profile_files {
        let path = file.with_file_name(name);
        let unreadable = |e: std::io::Error| {
            let message = format!("cannot read the profiles of {}: {e}", path.display());
            let hint = Some("its path is relative to the folder of the configuration".to_owned());
            ConfigError::about(file, text, name, message, hint)
        };
        let more = std::fs::read_to_string(&path).map_err(unreadable)?;
        let read: ProfileFile =
            toml::from_str(&more).map_err(|e| ConfigError::from_toml(&path, &more, &e))?;
        own.extend(read.profile);
        check(&path, &more, &own)?;
    }
    Ok(Profiles::new(&own))
}

fn check(file: &Path, text: &str, own: &[ProfileOptions]) -> Result<(), ConfigError> {
    ew_energy::check_profiles(own).map_err(|e| {
        ConfigError::about(file, text, e.place().1.unwrap_or_default(), e.to_string(), Some(e.hint()))
    })
}
