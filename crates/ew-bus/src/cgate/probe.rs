//! What answers, line by line.

use super::CgateBus;
use crate::BusError;

impl CgateBus<'_> {
    pub(crate) fn introduction(&mut self) -> Result<Vec<String>, BusError> {
        let mut told = vec![format!("banner: {}", self.session.banner())];
        let level = self.session.access_level();
        told.push(format!("access level: {}", level.as_deref().unwrap_or("not told")));
        match self.projects() {
            Ok(projects) if projects.is_empty() => told.push("projects loaded: none".into()),
            Ok(projects) => told.push(format!("projects loaded: {}", projects.join(", "))),
            Err(BusError::Refused { cause, .. }) => told.push(format!("projects loaded: not told ({cause})")),
            Err(e) => return Err(e),
        }
        let project = match self.project() {
            Ok(project) => project,
            // Said above, or else without a project there is no more to tell.
            Err(e @ (BusError::NoSuchObject { .. } | BusError::Refused { .. })) => {
                told.push(format!("project: {e}"));
                return Ok(told);
            }
            Err(e) => return Err(e),
        };
        told.push(format!("project: {project}"));
        let networks = match self.networks() {
            Ok(networks) => networks,
            Err(e @ (BusError::NoSuchObject { .. } | BusError::Refused { .. })) => {
                told.push(format!("networks: {e}"));
                return Ok(told);
            }
            Err(e) => return Err(e),
        };
        for network in networks {
            let object = format!("//{project}/{network}");
            let line = match self.settled(&object) {
                Ok(state) => {
                    let mut words = vec![state.words()];
                    for name in ["Type", "InterfaceAddress"] {
                        words.extend(self.parameter(&object, name)?.map(|value| format!("{name}={value}")));
                    }
                    words.join(" ")
                }
                Err(e @ (BusError::NoSuchObject { .. } | BusError::Refused { .. })) => e.to_string(),
                Err(e) => return Err(e),
            };
            told.push(format!("network {network}: {line}"));
        }
        Ok(told)
    }
}
