//! `import-tags`.

use crate::ask::{failure, one};
use crate::file;
use ew_bus::{
    Backend, TagApplication, TagFile, TagGroup, TagNetwork, TagUnit, Tags, read_tag_file, tag_address,
    tag_text,
};
use ew_cli::{Failure, Output, Report, clock};
use ew_config::Config;
use ew_core::Exit;
use ew_store::{Log, ProjectDb, read_project};
use serde_json::json;
use std::path::Path;

/// Which tags for which bus.
pub(crate) struct Request<'a> {
    pub(crate) file: &'a Path,
    pub(crate) bus: Option<&'a str>,
    pub(crate) network: Option<&'a str>,
}

/// Keeps the tags of a file for a bus.
pub(crate) fn import(
    config: &Config,
    request: &Request<'_>,
    json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let options = one(config, request.bus)?;
    let bus = &options.name;
    let name = request.file.display().to_string();
    let mut tags = match read_tag_file(&name, file::open(request.file)?).map_err(failure)? {
        TagFile::Tags(tags) => tags,
        TagFile::Database(bytes) => {
            of_database(read_project(bytes).map_err(|e| Failure::of(Exit::Data, &e).of_part(&name))?)
        }
    };
    let known: Vec<_> = tags.networks.iter().map(|one| one.address.clone()).collect();
    if known.is_empty() {
        return Err(Failure::new(
            Exit::Data,
            format!("{name} has no network in it; the tags of {bus} stay as they are"),
        )
        .hint("a project that Toolkit has saved or backed up has one: look whether it is the right file"));
    }
    // Their one network has no number of its own that could be looked for.
    let is_one = matches!(options.backend, Backend::Cni(_) | Backend::Pci(_));
    if is_one && known.len() > 1 && request.network.is_none() {
        let message = format!("{name} has {} networks, and {bus} is one of them", known.len());
        return Err(Failure::new(Exit::Usage, message)
            .hint(format!("say which by --network; it has: {}", known.join(" "))));
    }
    if let Some(network) = request.network {
        tags.networks.retain(|one| one.address == network);
        if tags.networks.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("{name} has no network {network}"))
                .hint(format!("it has: {}", known.join(" "))));
        }
    }
    let text = serde_json::to_string(&tags)
        .map_err(|e| Failure::new(Exit::Io, format!("the tags cannot be written: {e}")))?;
    Log::open(&config.log.url)?.keep_tags(bus, clock::now(), &text)?;
    let (networks, applications, groups, units) = tags.counts();
    if json {
        out.json(&json!({
            "bus": bus, "file": request.file, "project": tags.project, "networks": networks, "applications": applications,
            "groups": groups, "units": units, "skipped": tags.skipped,
        }))?;
    }
    report.note(format_args!(
        "{bus}: {networks} networks, {applications} applications, {groups} groups and {units} units have tags now; \
         {} elements without an address, or of address 255, left out",
        tags.skipped
    ));
    Ok(Exit::Ok)
}

fn of_database(db: ProjectDb) -> Tags {
    let mut tags = Tags { project: tag_text(db.project), ..Tags::default() };
    for network in db.networks {
        let Some(address) = tag_text(network.address) else {
            tags.skipped += 1;
            continue;
        };
        let mut made = TagNetwork {
            address,
            tag: tag_text(Some(network.tag)),
            interface_type: tag_text(network.interface_type),
            interface_address: tag_text(network.interface_address),
            ..TagNetwork::default()
        };
        for application in db.applications.iter().filter(|one| one.network == network.id) {
            let Some(address) = tag_address(application.address.as_deref()) else {
                tags.skipped += 1;
                continue;
            };
            let mut groups = Vec::new();
            for group in db.groups.iter().filter(|group| group.application == application.id) {
                match tag_address(group.address.as_deref()) {
                    Some(address) => {
                        groups.push(TagGroup { address, tag: tag_text(Some(group.tag.clone())) })
                    }
                    None => tags.skipped += 1,
                }
            }
            let tag = tag_text(Some(application.tag.clone()));
            made.applications.push(TagApplication { address, tag, groups });
        }
        for unit in db.units.iter().filter(|unit| unit.network == network.id) {
            // A unit may well have the address 255.
            let Some(address) = unit.address.as_deref().and_then(|text| text.trim().parse().ok()) else {
                tags.skipped += 1;
                continue;
            };
            made.units.push(TagUnit {
                address,
                tag: tag_text(Some(unit.tag.clone())),
                kind: tag_text(unit.kind.clone()),
                part_name: tag_text(unit.name.clone()),
                serial: tag_text(unit.serial.clone()),
                firmware: tag_text(unit.firmware.clone()),
                catalogue: tag_text(unit.catalogue.clone()),
                ..TagUnit::default()
            });
        }
        tags.networks.push(made);
    }
    tags
}
