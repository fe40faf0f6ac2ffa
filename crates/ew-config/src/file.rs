//! Which file is the configuration.

use crate::error::ConfigError;
use std::path::{Path, PathBuf};

/// `--config FILE`, else `$EW_CONFIG`, `./ew.toml`, `$XDG_CONFIG_HOME/ew/ew.toml`, `/etc/ew/ew.toml`.
///
/// The first two must exist where they are given; of the others the first that does is taken.
pub fn find(argument: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let given = argument
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("EW_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
    if let Some(file) = given {
        return Ok(file);
    }
    let xdg = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let places: Vec<PathBuf> = [
        Some(PathBuf::from("ew.toml")),
        xdg.map(|home| home.join("ew/ew.toml")),
        Some(PathBuf::from("/etc/ew/ew.toml")),
    ]
    .into_iter()
    .flatten()
    .collect();
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.clone()),
        None => Err(ConfigError::NotFound { places }),
    }
}
