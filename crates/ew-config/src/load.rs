//! From the text of a file to a checked configuration.

use crate::check;
use crate::error::ConfigError;
use crate::options::{Config, Tables};
use crate::profiles::profiles;
use crate::receivers::{self, Receivers};
use crate::texts::Texts;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

impl Config {
    /// Reads and checks a configuration.
    pub fn load(file: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Config::parse(file, &text)
    }

    /// Parses and checks the text of a configuration file.
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let mut root = DeTable::parse(text).map_err(|e| ConfigError::from_toml(file, text, &e))?;
        let mut texts = Texts::new(file, text);
        receivers::files(&mut texts, &root)?;
        let received = Receivers::read(&texts, root.get_ref())?.apply(&texts, root.get_mut())?;
        let mut tables = Tables::deserialize(Deserializer::from(root)).map_err(|e| texts.error(&e))?;
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
        for (job, received) in config.exports.iter_mut().zip(received) {
            job.received = received;
        }
        let base = config.base().to_owned();
        config.log.url = base.join(&config.log.url);
        config.native.rebase(&base);
        config.domains.iter_mut().flat_map(|d| &mut d.switches).for_each(|switch| switch.rebase(&base));
        Ok(config)
    }
}
