//! `--discover`: what given agents are, as tables to paste into `ew.toml`.

use crate::Args;
use ew_cli::{Failure, Output, Report};
use ew_config::Config;
use ew_core::{Exit, PartOutcome, point_part};
use ew_energy::{Discovered, EnergyError, Found, PROFILE_DEFAULT, Target, check_domain_name, discover};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

/// Where a device does not tell its domain.
const DOMAIN_DEFAULT: &str = "com.example.site";
/// A longer domain leaves no room for the points below it.
const DOMAIN_BYTES_MAX: usize = 110;
/// So much of a description and so many entities go into comments.
const DESCRIPTION_CHARS_MAX: usize = 100;
const ENTITIES_MAX: usize = 8;

/// `--json`: one document.
#[derive(Debug, Serialize)]
struct Document {
    agents: Vec<AgentReport>,
}

/// One agent that was asked.
#[derive(Debug, Serialize)]
struct AgentReport {
    address: String,
    port: u32,
    /// sysDescr and sysName; null where it did not answer.
    description: Option<String>,
    name: Option<String>,
    /// Null where there is none, as is what follows from it.
    profile: Option<String>,
    /// The EnergyWise domain.
    domain: Option<String>,
    value: Option<f64>,
    unit: &'static str,
    quality: Option<&'static str>,
    /// Wh.
    energy: Option<f64>,
    entities: Vec<EntityReport>,
    /// Why there is no value.
    error: Option<String>,
    requests: u32,
}

#[derive(Debug, Serialize)]
struct EntityReport {
    name: String,
    value: f64,
    unit: &'static str,
    quality: &'static str,
}

/// Runs `--discover`. The log is not opened.
pub(crate) fn run(args: &Args, config: &Config, report: Report, out: &mut Output) -> Result<Exit, Failure> {
    let targets = targets(&args.discover)?;
    let answers = discover(&targets, &config.snmp, &config.profiles, &|source| config.secret(source));
    let mut parts = Vec::new();
    for (target, (answer, _)) in targets.iter().zip(&answers) {
        match answer.as_ref().map_or_else(Err, |device| device.found.as_ref()) {
            Ok(_) => parts.push(PartOutcome::Done),
            Err(error) => {
                parts.push(PartOutcome::Failed(error.exit()));
                let failure = Failure::new(error.exit(), error.to_string()).hint(error.hint());
                report.failure(&failure.of_part(&shown(target)));
            }
        }
    }
    if args.common.json {
        let answers = targets.iter().zip(answers);
        let agents =
            answers.map(|(target, (answer, requests))| AgentReport::of(config, target, answer, requests));
        let document = Document { agents: agents.collect() };
        out.report(|out| out.json(&document))?;
    } else {
        let answers: Vec<_> = targets.iter().zip(answers.into_iter().map(|(answer, _)| answer)).collect();
        out.report(|out| out.line(format_args!("{}", tables(config, &answers).trim_end())))?;
    }
    Ok(Exit::of_parts(parts.iter().copied()))
}

/// Each address once, in the order given.
fn targets(arguments: &[String]) -> Result<Vec<Target>, Failure> {
    let mut targets: Vec<Target> = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |text: &str, place: &str| -> Result<(), Failure> {
        let target: Target = text.parse().map_err(|cause| {
            Failure::new(Exit::Usage, format!("{place}{cause}"))
                .hint("an address is HOST or HOST:PORT; a range of addresses is never asked")
        })?;
        if seen.insert(target.clone()) {
            targets.push(target);
        }
        Ok(())
    };
    for argument in arguments {
        let mut text = String::new();
        let read = match argument.as_str() {
            "-" => std::io::stdin().read_to_string(&mut text),
            path if Path::new(path).is_file() => {
                std::fs::read_to_string(path).map(|read| text.insert_str(0, &read)).map(|()| text.len())
            }
            // No host has a slash in its name.
            path if path.contains('/') => {
                return Err(Failure::new(Exit::Usage, format!("there is no file {path}"))
                    .hint("name a file with an address a line, or HOST or HOST:PORT; a range of addresses is never asked"));
            }
            address => {
                add(address, "")?;
                continue;
            }
        };
        read.map_err(|e| Failure::new(Exit::Io, format!("cannot read the addresses of {argument}: {e}")))?;
        for (line, number) in text.lines().zip(1..) {
            let address = line.split('#').next().unwrap_or_default().trim();
            if !address.is_empty() {
                add(address, &format!("{argument}:{number}: "))?;
            }
        }
    }
    match targets.is_empty() {
        true => Err(Failure::new(Exit::Usage, "no address is listed".to_owned())),
        false => Ok(targets),
    }
}

fn shown(target: &Target) -> String {
    match target.port {
        Some(port) => target.host.with_port(port),
        None => target.host.to_string(),
    }
}

/// A `[[domain]]` in the making.
#[derive(Default)]
struct Table {
    switches: Vec<String>,
    /// An EnergyWise switch in it has no domain of that name.
    has_stranger: bool,
}

/// The tables, with what is known beside them as comments, and what could not be read as comments alone.
fn tables(config: &Config, answers: &[(&Target, Result<Discovered, EnergyError>)]) -> String {
    let mut order: Vec<String> = Vec::new();
    let mut tables: HashMap<String, Table> = HashMap::new();
    let mut not_read = String::new();
    let found = answers.iter().filter_map(|(target, answer)| match answer {
        Ok(device) => Some((*target, device, device.found.as_ref().ok()?)),
        Err(_) => None,
    });
    let found: Vec<_> = found.map(|(target, device, found)| (target, device, found, domain(found))).collect();
    // A domain's name and a switch in the domain above it would be one point.
    let mut taken: HashSet<String> = found.iter().map(|(.., domain)| domain.clone()).collect();
    for (target, device, found, domain) in found {
        let name = unique(&mut taken, &domain, &part(device, target));
        if !order.contains(&domain) {
            order.push(domain.clone());
        }
        let table = tables.entry(domain.clone()).or_default();
        table.has_stranger |= found.profile == PROFILE_DEFAULT && found.domain.as_ref() != Some(&domain);
        table.switches.push(switch(config, target, device, found, &name));
    }
    for (target, answer) in answers {
        let reason = match answer {
            Err(error) => error.to_string(),
            Ok(Discovered { description, found: Err(error), .. }) => {
                format!("{error}; it says it is: {}", comment(description))
            }
            Ok(_) => continue,
        };
        not_read += &format!("# {}: {}\n", shown(target), comment(&reason));
    }
    let mut text = String::new();
    for domain in order {
        let Some(table) = tables.remove(&domain) else { continue };
        if config.domains.iter().any(|known| known.name == domain) {
            text += &format!("# {} has this domain: put the switches below it\n", config.file.display());
        }
        text += &format!("[[domain]]\nname = {}\n", quoted(&domain));
        if table.has_stranger {
            text += "check_domain_name = false\n";
        }
        text += &format!("\n{}\n", table.switches.join("\n"));
    }
    text + &not_read
}

/// Where a device belongs.
fn domain(found: &Found) -> String {
    let named = found.domain.as_ref().filter(|name| name.len() <= DOMAIN_BYTES_MAX);
    named.filter(|name| check_domain_name(name).is_ok()).cloned().unwrap_or_else(|| DOMAIN_DEFAULT.to_owned())
}

/// What a device is called: by itself, else by its address.
fn part(device: &Discovered, target: &Target) -> String {
    let own = point_part(device.name.trim(), 0);
    if own.trim().is_empty() { point_part(&shown(target), 0) } else { own }
}

/// The part, numbered where another source has that point.
fn unique(taken: &mut HashSet<String>, domain: &str, part: &str) -> String {
    let mut name = part.to_owned();
    let mut number = 1;
    while !taken.insert(format!("{domain}.{name}")) {
        number += 1;
        name = format!("{part}-{number}");
    }
    name
}

fn switch(config: &Config, target: &Target, device: &Discovered, found: &Found, name: &str) -> String {
    let mut text = format!("  # {}\n", comment(&device.description));
    let usage = &found.usage;
    text += &format!("  # {} W {}", usage.watts, usage.quality);
    if let Some(counter) = found.energy.iter().find(|counter| counter.part.is_none()) {
        text += &format!(", {} Wh", counter.wh);
    }
    if !usage.entities.is_empty() {
        let entities: Vec<String> = usage
            .entities
            .iter()
            .take(ENTITIES_MAX)
            .map(|entity| format!("{} {} W", comment(&entity.part), entity.watts))
            .collect();
        text += &format!("; entities: {}", entities.join(", "));
        if usage.entities.len() > ENTITIES_MAX {
            text += &format!(" and {} more", usage.entities.len() - ENTITIES_MAX);
        }
    }
    text.push('\n');
    let port = target.port.map(u32::from);
    for domain in &config.domains {
        for known in &domain.switches {
            let known_port = known.port.unwrap_or(config.snmp.port).get();
            if known.address == target.host && known_port == port.unwrap_or(config.snmp.port.get()) {
                text += &format!(
                    "  # {} has it as {} of {}\n",
                    config.file.display(),
                    comment(&known.name),
                    domain.name
                );
            }
        }
    }
    text += &format!("  [[domain.switch]]\n  name = {}\n", quoted(name));
    text += &format!("  address = {}\n", quoted(target.host.as_str()));
    if let Some(port) = port.filter(|port| *port != config.snmp.port.get()) {
        text += &format!("  port = {port}\n");
    }
    text + &format!("  profile = {}\n", quoted(&found.profile))
}

/// On one line, and not too much of it.
fn comment(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(DESCRIPTION_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// As TOML writes a text without control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl AgentReport {
    fn of(
        config: &Config,
        target: &Target,
        answer: Result<Discovered, EnergyError>,
        requests: u32,
    ) -> AgentReport {
        let mut report = AgentReport {
            address: target.host.to_string(),
            port: target.port.map_or(config.snmp.port.get(), u32::from),
            description: None,
            name: None,
            profile: None,
            domain: None,
            value: None,
            unit: "W",
            quality: None,
            energy: None,
            entities: Vec::new(),
            error: None,
            requests,
        };
        let found = match answer {
            Ok(device) => {
                (report.description, report.name) = (Some(device.description), Some(device.name));
                device.found
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => {
                let entities = found.usage.entities.into_iter().map(|entity| EntityReport {
                    name: entity.part,
                    value: entity.watts,
                    unit: "W",
                    quality: entity.quality.as_str(),
                });
                report.entities = entities.collect();
                report.value = Some(found.usage.watts);
                report.quality = Some(found.usage.quality.as_str());
                report.energy =
                    found.energy.iter().find(|counter| counter.part.is_none()).map(|counter| counter.wh);
                (report.profile, report.domain) = (Some(found.profile), found.domain);
            }
            Err(error) => report.error = Some(error.to_string()),
        }
        report
    }
}
