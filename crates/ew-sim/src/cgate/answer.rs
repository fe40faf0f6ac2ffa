//! Commands to replies, as C-Gate 3.4 words them.

use super::documents::{self, Stage, database, tree, tree_xml};
use super::fault::{Case, Faults, is_one_of};
use super::project::{Network, Project};
use std::collections::{BTreeMap, BTreeSet};

/// The measurement application.
const MEASUREMENT: u8 = 228;
/// Trigger control, whose groups have no level.
const TRIGGER: u8 = 202;

/// Access levels, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Access {
    Connect,
    Monitor,
    Operate,
    Admin,
    Program,
    Debug,
}

/// A user who may log in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) access: Access,
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) project: Project,
    pub(crate) faults: Faults,
    pub(crate) users: Vec<User>,
    is_loaded: bool,
    opened: BTreeSet<u8>,
    /// How often a network was asked for its state.
    looks: BTreeMap<u8, u32>,
}

/// Rows of a reply, the last one apart; a row is a code and a text.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<(u16, String)>,
    /// The 347 row with the declaration ends with a bare LF.
    pub(crate) has_bare_lf: bool,
    pub(crate) is_last: bool,
}

impl Answer {
    fn one(code: u16, text: impl Into<String>) -> Answer {
        Answer { rows: vec![(code, text.into())], ..Answer::default() }
    }

    fn ok(object: &str) -> Answer {
        Answer::one(200, format!("OK: {object}"))
    }

    fn many(code: u16, lines: Vec<String>, last: (u16, &str)) -> Answer {
        let mut rows: Vec<(u16, String)> = lines.into_iter().map(|line| (code, line)).collect();
        rows.push((last.0, last.1.to_owned()));
        Answer { rows, ..Answer::default() }
    }

    fn xml(lines: Vec<String>, words: &str) -> Answer {
        let mut answer = Answer::many(347, lines, (344, &format!("End XML {words}")));
        answer.rows.insert(0, (343, format!("Begin XML {words}")));
        answer
    }
}

impl Server {
    pub(crate) fn new(project: Project, faults: Faults, users: Vec<User>) -> Server {
        let is_loaded = !faults.not_loaded;
        Server { project, faults, users, is_loaded, opened: BTreeSet::new(), looks: BTreeMap::new() }
    }

    /// The reply to one command of a session with this access.
    pub(crate) fn answer(&mut self, command: &str, access: &mut Access, own: Access) -> Answer {
        let capitals = command.to_ascii_uppercase();
        let words: Vec<&str> = command.split_whitespace().collect();
        let verb = words.first().map_or_else(String::new, |word| word.to_ascii_uppercase());
        if is_one_of(&capitals, &self.faults.denied) || *access < least(&verb) {
            return Answer::one(420, "Access denied.");
        }
        if is_one_of(&capitals, &self.faults.unsupported) {
            return Answer::one(402, "Operation not supported.");
        }
        if is_one_of(&capitals, &self.faults.broken) {
            return Answer::one(500, "Internal error.");
        }
        let mut answer = self.obey(&verb, &words[1..], access, own);
        if is_one_of(&capitals, &self.faults.holes) && answer.rows.len() > 1 {
            let hole = (408, "Operation failed: can not get parameter from unit".to_owned());
            answer.rows.insert(answer.rows.len() - 1, hole);
        }
        answer
    }

    fn obey(&mut self, verb: &str, words: &[&str], access: &mut Access, own: Access) -> Answer {
        match (verb, words) {
            ("NOOP", _) => Answer::one(200, "OK."),
            ("EVENTS", _) => Answer::one(200, "OK."),
            ("LOGIN", []) => Answer::one(210, format!("Access level: {access:?}")),
            ("LOGIN", [name, password]) => match self.user(name, password) {
                Some(user) => {
                    *access = user;
                    Answer::one(211, format!("Access level set to: {access:?}"))
                }
                None => Answer::one(422, "Username and Password do not match."),
            },
            ("LOGOUT", _) => {
                *access = own;
                Answer::one(211, format!("Access level set to: {access:?}"))
            }
            ("GET" | "SHOW", [object, parameter]) => self.get(object, parameter),
            ("TREE", [object, ..]) => self.on_network(object, |server, network, stage| {
                let state = server.state(network.address).0;
                let lines = tree(&server.project.name, network, state, stage, &server.faults.lost_groups);
                Answer::many(320, lines, (320, "-end-"))
            }),
            ("TREEXML" | "TREEXMLDETAIL", [object, ..]) => self.on_network(object, |_, network, stage| {
                Answer::xml(tree_xml(network, verb == "TREEXMLDETAIL", stage), "Snippet")
            }),
            ("DBGETXML", [object, ..]) => self.database(object),
            ("PROJECT", rest) => self.project(rest),
            ("NET", rest) => self.net(rest),
            ("RAMP", [object, level, ..]) => self.ramp(object, level),
            ("ON", [object, ..]) => self.ramp(object, "255"),
            ("OFF", [object, ..]) => self.ramp(object, "0"),
            ("QUIT" | "EXIT", _) => Answer { is_last: true, ..Answer::one(204, "Closing Connection") },
            _ => Answer::one(400, "Syntax Error."),
        }
    }

    fn user(&self, name: &str, password: &str) -> Option<Access> {
        let user = self.users.iter().find(|user| user.name == name && user.password == password);
        user.map(|user| user.access)
    }

    /// The path of an object of the project that is served: `//HOME/254/56/*` is 254, 56, `*`.
    fn path<'o>(&self, object: &'o str) -> Result<Vec<&'o str>, Answer> {
        let bad = || Answer::one(401, "Bad object or device ID.");
        let mut path = object.strip_prefix("//").ok_or_else(bad)?.split('/');
        let name = path.next().unwrap_or_default();
        match self.is_loaded && name.eq_ignore_ascii_case(&self.project.name) {
            true => Ok(path.filter(|part| !part.is_empty()).collect()),
            false => Err(bad()),
        }
    }

    fn get(&mut self, object: &str, parameter: &str) -> Answer {
        let path = match self.path(object) {
            Ok(path) => path,
            Err(answer) => return answer,
        };
        if path.is_empty() {
            let networks: Vec<u8> = self.project.networks.iter().map(|network| network.address).collect();
            return match parameter.eq_ignore_ascii_case("Networks") {
                true => self.told(object, parameter, &documents::list(&networks)),
                false => no_parameter(object),
            };
        }
        let Some(address) = number(path[0]).filter(|n| self.project.network(*n).is_some()) else {
            return Answer::one(401, "Bad object or device ID: Network not found");
        };
        if path.len() == 1 && parameter.eq_ignore_ascii_case("State") {
            *self.looks.entry(address).or_default() += 1;
        }
        let state = self.state(address);
        let Some(network) = self.project.network(address) else { return no_object(object) };
        match &path[1..] {
            [] => match of_network(network, parameter, state) {
                Some(value) => self.told(object, parameter, &value),
                None => no_parameter(object),
            },
            ["228", rest @ ..] => self.measurement(object, network, rest, parameter),
            [application] => match number(application).and_then(|a| network.application(a)) {
                Some(application) if parameter.eq_ignore_ascii_case("Groups") => {
                    let groups: Vec<u8> = application.seen().map(|group| group.address).collect();
                    self.told(object, parameter, &documents::list(&groups))
                }
                Some(_) => no_parameter(object),
                None => no_object(object),
            },
            [application, group] => self.groups(object, network, application, group, parameter),
            _ => no_object(object),
        }
    }

    fn groups(
        &self,
        object: &str,
        network: &Network,
        application: &str,
        group: &str,
        parameter: &str,
    ) -> Answer {
        let Some(application) = number(application).and_then(|a| network.application(a)) else {
            return no_object(object);
        };
        let is_wanted = |address: u8| group == "*" || number(group) == Some(address);
        let mut rows = Vec::new();
        for group in application.seen().filter(|group| is_wanted(group.address)) {
            let at = format!(
                "//{}/{}/{}/{}",
                self.project.name, network.address, application.address, group.address
            );
            let is_lost = self.faults.lost_groups.contains(&group.address);
            let value = match parameter.to_ascii_lowercase().as_str() {
                "level" if application.address == TRIGGER => None,
                "level" if is_lost => Some("0".to_owned()),
                "level" => Some(group.level.unwrap_or(0).to_string()),
                "state" => Some(if is_lost { "error" } else { "ok" }.to_owned()),
                "units" => {
                    let units: Vec<u8> = network.units_of(application.address, group.address).collect();
                    Some(documents::list(&units))
                }
                _ => None,
            };
            let is_level = parameter.eq_ignore_ascii_case("level");
            if is_level && self.faults.bad_groups.contains(&group.address) {
                rows.push((408, format!("Operation failed: {at} (Can not get parameter from unit)")));
            } else {
                rows.extend(match value {
                    Some(value) => self.told(&at, parameter, &value).rows,
                    None => no_parameter(&at).rows,
                });
            }
        }
        match rows.is_empty() {
            true => no_object(object),
            false => Answer { rows, ..Answer::default() },
        }
    }

    fn measurement(&self, object: &str, network: &Network, path: &[&str], parameter: &str) -> Answer {
        let is = |name: &str| parameter.eq_ignore_ascii_case(name);
        let find = |device: &str| network.devices.iter().find(|d| number(device) == Some(d.device));
        if network.devices.is_empty() {
            return no_object(object);
        }
        match path {
            [] if is("Devices") => {
                let devices: Vec<u8> = network.devices.iter().map(|device| device.device).collect();
                self.told(object, parameter, &documents::list(&devices))
            }
            [device] if is("Channels") => match find(device) {
                Some(device) => {
                    let channels: Vec<u8> = device.channels.iter().map(|channel| channel.channel).collect();
                    self.told(object, parameter, &documents::list(&channels))
                }
                None => no_object(object),
            },
            [device, channel] if is("Data") => {
                let channel = find(device)
                    .and_then(|device| device.channels.iter().find(|c| number(channel) == Some(c.channel)));
                match channel {
                    Some(c) => {
                        let age = c.age_ms.map_or_else(|| "-1".to_owned(), |age| age.to_string());
                        let data = format!("{},{},{},{age}", c.value, c.exponent, c.unit);
                        self.told(object, parameter, &data)
                    }
                    None => no_object(object),
                }
            }
            _ => no_parameter(object),
        }
    }

    /// `300 OBJECT: parameter=value`, the parameter as it was asked for.
    fn told(&self, object: &str, parameter: &str, value: &str) -> Answer {
        let parameter = match self.faults.case {
            None => parameter.to_owned(),
            Some(Case::Upper) => parameter.to_ascii_uppercase(),
            Some(Case::Lower) => parameter.to_ascii_lowercase(),
        };
        Answer::one(300, format!("{object}: {parameter}={value}"))
    }

    /// State, InterfaceState and SyncState.
    fn state(&self, network: u8) -> (&'static str, &'static str, &'static str) {
        if self.faults.closed && !self.opened.contains(&network) {
            return ("closed", "closed", "idle");
        }
        match self.stage(network) {
            Stage::Syncing => ("sync", "running", "units"),
            Stage::Whole => ("ok", "running", "idle"),
        }
    }

    fn stage(&self, network: u8) -> Stage {
        let looks = self.looks.get(&network).copied().unwrap_or(0);
        match self.faults.syncing {
            None => Stage::Whole,
            Some(Some(until)) if looks > until => Stage::Whole,
            Some(_) => Stage::Syncing,
        }
    }

    fn on_network(&self, object: &str, answer: impl Fn(&Server, &Network, Stage) -> Answer) -> Answer {
        match self.path(object).as_deref() {
            Ok([address]) => match number(address).and_then(|address| self.project.network(address)) {
                Some(network) => answer(self, network, self.stage(network.address)),
                None => Answer::one(401, "Bad object or device ID: Network not found"),
            },
            // The real one puts the fault inside a reply that ends well.
            Ok([]) => {
                let mut answer = Answer::xml(Vec::new(), "Snippet");
                answer.rows.insert(1, (402, format!("Operation not supported by: {object}")));
                answer
            }
            Ok(_) => no_object(object),
            Err(_) => Answer::one(401, "Bad object or device ID."),
        }
    }

    fn database(&self, object: &str) -> Answer {
        let network = match self.path(object).as_deref() {
            Ok([]) => None,
            Ok([address]) => match number(address).and_then(|address| self.project.network(address)) {
                Some(network) => Some(network),
                None => {
                    return Answer::one(
                        401,
                        format!("Bad object or device ID: Element {address} not found."),
                    );
                }
            },
            Ok(_) | Err(_) => return Answer::one(401, "Bad object or device ID."),
        };
        let mut lines = vec!["<?xml version=\"1.0\" encoding=\"utf-8\"?>".to_owned()];
        if self.faults.bomb {
            lines.push("<!DOCTYPE x [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>".into());
        }
        lines.push(database(&self.project, network, self.faults.xml_bytes));
        Answer { has_bare_lf: true, ..Answer::xml(lines, "snippet") }
    }

    fn project(&mut self, words: &[&str]) -> Answer {
        let name = words.get(1).copied().unwrap_or_default();
        let is_ours = name.eq_ignore_ascii_case(&self.project.name);
        match words.first().map(|word| word.to_ascii_uppercase()).as_deref() {
            Some("LIST") if self.is_loaded => {
                Answer::one(123, format!("project={} state=started", self.project.name))
            }
            Some("LIST") => Answer::one(124, "No projects."),
            Some("LOAD") if is_ours && self.is_loaded => Answer::one(464, "Project already loaded."),
            Some("LOAD") if is_ours => {
                self.is_loaded = true;
                Answer::one(200, "OK.")
            }
            Some("START" | "USE") if is_ours && self.is_loaded => Answer::one(200, "OK."),
            Some("LOAD" | "START" | "USE") => Answer::one(465, "Project not found."),
            _ => Answer::one(400, "Syntax Error."),
        }
    }

    fn net(&mut self, words: &[&str]) -> Answer {
        match (words.first().map(|word| word.to_ascii_uppercase()).as_deref(), words.get(1)) {
            (Some("LIST"), _) if self.is_loaded => {
                let row = |network: &Network| {
                    let (state, interface, _) = self.state(network.address);
                    (131, format!("network={} State={state} InterfaceState={interface}", network.address))
                };
                Answer { rows: self.project.networks.iter().map(row).collect(), ..Answer::default() }
            }
            (Some("LIST"), _) => Answer::one(132, "No networks."),
            (Some("OPEN"), Some(object)) => {
                let address = match self.path(object).as_deref() {
                    Ok([address]) => number(address).filter(|a| self.project.network(*a).is_some()),
                    _ => None,
                };
                let Some(address) = address else { return no_object(object) };
                self.opened.insert(address);
                let steps = ["initializing", "opening port", "starting network threads", "open complete"];
                let last = format!("OK: {object}");
                Answer::many(120, steps.map(str::to_owned).to_vec(), (200, &last))
            }
            _ => Answer::one(400, "Syntax Error."),
        }
    }

    /// A level from 0 to 255, or of a hundred with `%`. An unknown group comes into being, as it does with the real one.
    fn ramp(&mut self, object: &str, level: &str) -> Answer {
        let level = match level.strip_suffix('%') {
            Some(percent) => {
                number(percent).filter(|p| *p <= 100).map(|p| (u16::from(p) * 255).div_ceil(100))
            }
            None => number(level).map(u16::from),
        };
        let Some(level) = level.and_then(|level| u8::try_from(level).ok()) else {
            return Answer::one(405, "Parameter out of range.");
        };
        let path: Vec<u8> = match self.path(object) {
            Ok(path) => path.iter().filter_map(|part| number(part)).collect(),
            Err(answer) => return answer,
        };
        let [network, application, group] = path[..] else { return no_object(object) };
        let application = self
            .project
            .network_mut(network)
            .and_then(|network| network.applications.iter_mut().find(|a| a.address == application))
            .filter(|application| application.address != TRIGGER && application.address != MEASUREMENT);
        let Some(application) = application else { return no_object(object) };
        match application.groups.iter_mut().find(|known| known.address == group) {
            Some(known) => known.level = Some(level),
            None => application.groups.push(super::project::Group {
                address: group,
                tag: None,
                level: Some(level),
                on_bus: true,
                levels: Vec::new(),
            }),
        }
        Answer::ok(object)
    }
}

fn of_network(network: &Network, parameter: &str, state: (&str, &str, &str)) -> Option<String> {
    Some(match parameter.to_ascii_lowercase().as_str() {
        "state" => state.0.to_owned(),
        "interfacestate" => state.1.to_owned(),
        "syncstate" => state.2.to_owned(),
        "type" => network.interface.clone(),
        "interfaceaddress" => network.interface_address.clone(),
        "units" => documents::list(&network.units.iter().map(|unit| unit.address).collect::<Vec<_>>()),
        "applications" => {
            let seen = network.applications.iter().filter(|application| application.seen().next().is_some());
            documents::list(&seen.map(|application| application.address).collect::<Vec<_>>())
        }
        _ => return None,
    })
}

/// The least access level of a command, as measured of 3.4.
fn least(verb: &str) -> Access {
    match verb {
        "NOOP" | "LOGIN" | "LOGOUT" | "QUIT" | "EXIT" | "EVENTS" => Access::Connect,
        "RAMP" | "ON" | "OFF" => Access::Operate,
        "PROJECT" => Access::Admin,
        "NET" => Access::Program,
        _ => Access::Monitor,
    }
}

fn no_object(object: &str) -> Answer {
    Answer::one(401, format!("Bad object or device ID: {object} (Object not found)"))
}

fn no_parameter(object: &str) -> Answer {
    Answer::one(402, format!("Operation not supported by: {object} (Parameter name not found)"))
}

/// Decimal, or hexadecimal after `$`.
fn number(text: &str) -> Option<u8> {
    match text.strip_prefix('$') {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
