//! One discovery: what a network's units, groups and tags come to, and whether anything is missing.

use super::network::State;
use super::poll::not_up;
use super::reply::{Reply, Row};
use super::tree::{self, TreeGroup, TreeUnit, used};
use super::{CgateBus, join};
use crate::{Application, BusError, Discovery, Group, Network, TagNetwork, Warning, tags_from_xml};
use std::collections::{BTreeMap, BTreeSet};

/// Of what is left of a run, the part that a tag database may take.
const TAGS_SHARE: u32 = 3;

/// Everything that was told of one network, before it is joined.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) network: u8,
    pub(crate) is_up: bool,
    /// None: neither tree could be had.
    pub(crate) units: Option<Vec<TreeUnit>>,
    pub(crate) groups: Vec<TreeGroup>,
    /// Those groups are all that there are.
    pub(crate) is_tree: bool,
    /// None: no tags could be had.
    pub(crate) db: Option<TagNetwork>,
    /// Groups that were told a level of, or why there is none.
    pub(crate) levels: Vec<Group>,
    /// Applications that were asked for levels and have none.
    pub(crate) levelless: BTreeSet<u8>,
}

impl CgateBus<'_> {
    pub(crate) fn discovery(&mut self) -> Result<Discovery, BusError> {
        let started_at = self.now();
        let project = self.project()?;
        let networks = self.networks()?;
        let mut found = Discovery {
            bus: self.session.options.name.clone(),
            backend: "cgate".into(),
            endpoint: self.session.endpoint.clone(),
            project: Some(project.clone()),
            server_banner: Some(self.session.banner().to_owned()),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            started_at,
            finished_at: started_at,
            complete: None,
            incomplete_reasons: Vec::new(),
            warnings: Vec::new(),
            networks: Vec::new(),
            applications: Vec::new(),
            groups: Vec::new(),
            units: Vec::new(),
            unit_groups: Vec::new(),
            measurements: Vec::new(),
        };
        if networks.is_empty() {
            found.incomplete_reasons.push(format!("project {project} has no networks"));
        }
        let mut first = None;
        for network in networks {
            if let Err(e) = self.discover_network(&project, network, &mut found) {
                found.incomplete_reasons.push(format!("network {network}: {}", with_hint(&e)));
                first.get_or_insert(e);
            }
        }
        if let (Some(error), true) = (first, found.networks.is_empty()) {
            return Err(error);
        }
        found.judge(true);
        found.finished_at = self.now();
        Ok(found)
    }

    /// An error where the rest of the network is not known; what came before it is kept.
    fn discover_network(
        &mut self,
        project: &str,
        network: u8,
        found: &mut Discovery,
    ) -> Result<(), BusError> {
        let object = format!("//{project}/{network}");
        let state = self.settled(&object)?;
        if !state.is_up() {
            found.incomplete_reasons.push(not_up(network, &state));
        }
        // Said even if all that follows fails.
        let at = found.networks.len();
        found.networks.push(self.network_row(network, &state));
        found.networks[at].interface_type = self.parameter(&object, "Type")?;
        found.networks[at].interface_address = self.parameter(&object, "InterfaceAddress")?;

        let mut told = Told { network, is_up: state.is_up(), ..Told::default() };
        self.ask_trees(&object, &mut told, found)?;
        self.ask_tags(&object, &mut told, found);
        if let Some(db) = &told.db {
            let row = &mut found.networks[at];
            row.tag.clone_from(&db.tag);
            row.interface_type = row.interface_type.take().or_else(|| db.interface_type.clone());
            row.interface_address = row.interface_address.take().or_else(|| db.interface_address.clone());
        }
        let row = &mut found.networks[at];
        if row.interface_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("bridge")) {
            row.bridge_path.clone_from(&row.interface_address);
        }

        let applications = self.ask_applications(&object, &told)?;
        if !told.is_tree {
            for application in applications.keys() {
                let reply = self.session.ask(&format!("GET {object}/{application}/* Units"))?;
                told.groups.extend(tree::groups_of_units(&reply.rows, &object, *application));
            }
        }
        for (address, tag) in &applications {
            let row = Application::new(&found.bus, &network.to_string(), *address);
            found.applications.push(Application { tag: tag.clone(), ..row });
        }
        join::units(&told, found);
        let ended = self.ask_levels(&object, &applications, &mut told, &state, found);
        join::groups(&told, found);
        join::reasons(&told, found);
        ended?;
        found.measurements.extend(self.network_measurements(&object, network)?);
        Ok(())
    }

    fn network_row(&self, network: u8, state: &State) -> Network {
        Network {
            state: state.state.clone(),
            interface_state: state.interface_state.clone(),
            sync_state: state.sync_state.clone(),
            ..Network::new(&self.session.options.name, &network.to_string())
        }
    }

    /// Units from the richest tree that the server has; groups with their units from TREE, which is the only one that
    /// says of which application a group is.
    fn ask_trees(&mut self, object: &str, told: &mut Told, found: &mut Discovery) -> Result<(), BusError> {
        for command in ["TREEXMLDETAIL", "TREEXML"] {
            let command = format!("{command} {object}");
            let reply = self.session.ask(&command)?;
            let Some(xml) = reply.document() else {
                match reply.fault().cloned() {
                    // An older server has not all of them.
                    Some(Row { code: 400 | 402, .. }) => continue,
                    Some(row) => {
                        found.incomplete_reasons.push(with_hint(&self.session.refused(&command, &row)))
                    }
                    None => found.incomplete_reasons.push(self.no_answer(&command, &reply).to_string()),
                }
                break;
            };
            match tree::units_of_xml(xml) {
                Ok((units, odd)) => {
                    told.units = Some(units);
                    found.warnings.extend(odd.into_iter().map(|text| warning(None, object, text)));
                }
                Err(why) => found.incomplete_reasons.push(self.session.breach(&command, &why).to_string()),
            }
            add_holes(&command, object, &reply, found);
            break;
        }
        let command = format!("TREE {object}");
        let reply = self.session.ask(&command)?;
        let (units, groups) = tree::of_rows(&reply.rows, object);
        told.is_tree = !reply.last.is_fault();
        match (told.is_tree, told.units.is_some()) {
            (true, false) => told.units = Some(units),
            (false, false) => {
                let error = self.session.refused(&command, &reply.last);
                found.incomplete_reasons.push(with_hint(&error));
            }
            (_, true) => {}
        }
        match told.is_tree {
            true => add_holes(&command, object, &reply, found),
            // Links can be had in another way.
            false => {
                let text = format!("TREE: {}", reply.last.text);
                found.warnings.push(warning(Some(reply.last.code), object, text));
            }
        }
        told.groups = groups;
        Ok(())
    }

    /// Tags, as far as they can be had: nothing else waits for them.
    fn ask_tags(&mut self, object: &str, told: &mut Told, found: &mut Discovery) {
        let command = format!("DBGETXML {object}");
        if self.are_tags_lost {
            let reason = format!("{command} was not asked: no answer came to the one before it");
            found.incomplete_reasons.push(reason);
            return;
        }
        let reply = match self.session.ask_within(self.session.left() / TAGS_SHARE, &command) {
            Ok(reply) => reply,
            Err(error) => {
                self.are_tags_lost = true;
                found.incomplete_reasons.push(format!("no tags: {}", with_hint(&error)));
                return;
            }
        };
        let Some(xml) = reply.document() else {
            match reply.fault().cloned() {
                // Not in the database, or there is none: so it has no tags, and that is all there is to know.
                Some(Row { code: code @ (401 | 440), text }) => {
                    found.warnings.push(warning(Some(code), object, format!("no tags: {text}")));
                }
                Some(row) => found.incomplete_reasons.push(with_hint(&self.session.refused(&command, &row))),
                None => found.incomplete_reasons.push(self.no_answer(&command, &reply).to_string()),
            }
            return;
        };
        match tags_from_xml(xml) {
            Ok(tags) => {
                let odd = tags.odd.into_iter().map(|text| format!("the tag database: {text}"));
                found.warnings.extend(odd.map(|text| warning(None, object, text)));
                told.db = tags.networks.into_iter().find(|db| db.address == told.network.to_string());
            }
            Err(why) => found.incomplete_reasons.push(self.session.breach(&command, &why).to_string()),
        }
        add_holes(&command, object, &reply, found);
    }

    /// Each application that anything names, with its tag; never 255.
    fn ask_applications(
        &mut self,
        object: &str,
        told: &Told,
    ) -> Result<BTreeMap<u8, Option<String>>, BusError> {
        let said = self.parameter(object, "Applications")?.map(|list| used(&list)).unwrap_or_default();
        let of_units =
            told.units.iter().flatten().flat_map(|unit| unit.applications.iter().flatten().copied());
        let of_groups = told.groups.iter().map(|group| group.application);
        let seen: BTreeSet<u8> = said.into_iter().chain(of_units).chain(of_groups).collect();
        let mut applications: BTreeMap<u8, Option<String>> = seen
            .into_iter()
            .filter(|address| *address != tree::UNUSED)
            .map(|address| (address, None))
            .collect();
        for application in told.db.iter().flat_map(|db| &db.applications) {
            applications.insert(application.address, application.tag.clone());
        }
        Ok(applications)
    }

    fn ask_levels(
        &mut self,
        object: &str,
        applications: &BTreeMap<u8, Option<String>>,
        told: &mut Told,
        state: &State,
        found: &mut Discovery,
    ) -> Result<(), BusError> {
        for application in applications.keys().filter(|a| **a != super::measure::MEASUREMENT) {
            let states = self.ask_states(object, *application)?;
            let asked = self.application_levels(object, told.network, *application, state, &states)?;
            if asked.groups.is_empty() && asked.incomplete_reasons.is_empty() {
                told.levelless.insert(*application);
            }
            told.levels.extend(asked.groups);
            told.levels.extend(asked.without);
            found.incomplete_reasons.extend(asked.incomplete_reasons);
            found.warnings.extend(asked.warnings);
        }
        Ok(())
    }
}

/// Faults amid a reply that ended well: something is missing there.
fn add_holes(command: &str, object: &str, reply: &Reply, found: &mut Discovery) {
    for row in reply.faults() {
        found.warnings.push(warning(Some(row.code), object, row.text.clone()));
        found.incomplete_reasons.push(format!("{command} has a hole: {}", row.words()));
    }
}

fn warning(code: Option<u16>, object: &str, text: String) -> Warning {
    Warning { code, object: Some(object.to_owned()), text }
}

/// An error as a reason, with what to do about it.
fn with_hint(error: &BusError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
