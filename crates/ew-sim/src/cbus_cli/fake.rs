//! A bus in memory.

use super::Gear;
use crate::SimError;
use std::collections::BTreeMap;
use std::path::Path;

const SMALL: &str = "\
unit:1,network:00,apps:56,255
unit:1,network:00,groups:1,2,255,255
unit:5,network:00,apps:56
unit:5,network:00,groups:2,7
unit:9,network:00
level:56,1=255
level:56,2=128
level:56,7=0
";

pub(super) struct Fake {
    rows: Vec<String>,
    levels: BTreeMap<(u8, u8), u8>,
    is_primed: bool,
}

impl Fake {
    /// The bus of a file, or a small one: lines `level:APP,GROUP=LEVEL`; every other line is one of the scan, as it is.
    pub(super) fn new(file: Option<&Path>) -> Result<Fake, SimError> {
        let text = match file {
            None => SMALL.to_owned(),
            Some(file) => std::fs::read_to_string(file)
                .map_err(|source| SimError::Unreadable { file: file.to_owned(), source })?,
        };
        let mut fake = Fake { rows: Vec::new(), levels: BTreeMap::new(), is_primed: false };
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match line.strip_prefix("level:") {
                None => fake.rows.push(line.to_owned()),
                Some(level) => {
                    let (key, level) = parse(level).ok_or_else(|| SimError::BadLevel {
                        file: file.unwrap_or(Path::new("")).to_owned(),
                        line: index + 1,
                    })?;
                    fake.levels.insert(key, level);
                }
            }
        }
        Ok(fake)
    }
}

fn parse(text: &str) -> Option<((u8, u8), u8)> {
    let (group, level) = text.split_once('=')?;
    let (application, group) = group.split_once(',')?;
    Some(((application.trim().parse().ok()?, group.trim().parse().ok()?), level.trim().parse().ok()?))
}

impl Gear for Fake {
    fn discover(&mut self) -> Result<Vec<String>, String> {
        self.is_primed = true;
        Ok(self.rows.clone())
    }

    fn level(&mut self, application: u8, group: u8) -> Result<u8, String> {
        self.levels.get(&(application, group)).copied().ok_or_else(|| "error: no such group".to_owned())
    }

    fn set(&mut self, application: u8, group: u8, level: u8) -> Result<(), String> {
        match self.levels.get_mut(&(application, group)) {
            Some(held) => {
                *held = level;
                Ok(())
            }
            None => Err("error: no such group".to_owned()),
        }
    }

    fn is_primed(&self) -> bool {
        self.is_primed
    }
}
