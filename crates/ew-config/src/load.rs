//! From the text of a file to a checked configuration.

use crate::check;
use crate::error::ConfigError;
use crate::options::{Config, Tables};
use crate::profiles::profiles;
use std::path::Path;
use toml::Spanned;

impl Config {
    /// Reads and checks a configuration.
    pub fn load(file: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Config::parse(file, &text)
    }

    /// Parses and checks the text of a configuration file.
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let mut tables: Tables = toml::from_str(text).map_err(|e| ConfigError::from_toml(file, text, &e))?;
        check::load_formats(file, text, &mut tables)?;
        let profiles = profiles(file, text, &tables)?;
        check::check(file, text, &tables, &profiles)?;
        let mut config = Config {
            file: file.to_owned(),
            site: tables.site.0,
            log: tables.log,
            snmp: tables.snmp,
            profiles,
            native: tables.native.map(Spanned::into_inner).unwrap_or_default(),
            domains: tables.domain.into_iter().map(Spanned::into_inner).collect(),
            trends: tables.trend.into_iter().map(Spanned::into_inner).collect(),
            buses: tables.cbus,
            exports: tables.export.into_iter().map(Spanned::into_inner).collect(),
        };
        let base = config.base().to_owned();
        config.log.url = base.join(&config.log.url);
        config.native.rebase(&base);
        config.domains.iter_mut().flat_map(|d| &mut d.switches).for_each(|switch| switch.rebase(&base));
        Ok(config)
    }
}
