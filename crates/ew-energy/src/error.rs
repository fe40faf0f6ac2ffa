//! What can go wrong with a switch, and what to do about it.

use ew_core::{Exit, Span};

/// Why a switch has no value. `peer` is the far side (`192.0.2.10:161`), `object` what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnergyError {
    /// The name server gave no address.
    #[error("cannot find an address for {host}: {cause}")]
    Resolve {
        /// The name as configured.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// Nothing came back, or the way there is closed.
    #[error("no answer from {peer} to {object}: {cause} (attempts: {attempts})")]
    NoAnswer {
        /// The far side.
        peer: String,
        /// What was asked.
        object: String,
        /// How often, the first included.
        attempts: u32,
        /// Silence, a closed port or no route.
        cause: String,
        /// It was asked by SNMPv3, which has no community.
        v3: bool,
        /// SNMPv3 with privacy: a wrong privacy key is silence too.
        privacy: bool,
    },
    /// The switch's own time was up.
    #[error("{peer} was not done within its deadline of {deadline}, at {object}")]
    Deadline {
        /// The far side.
        peer: String,
        /// What was asked last.
        object: String,
        /// The limit.
        deadline: Span,
    },
    /// The agent knows the user not, or not with these keys.
    #[error("{peer} refused {object}: {cause}")]
    Refused {
        /// The far side.
        peer: String,
        /// What was asked.
        object: String,
        /// What the agent, or its answer, said.
        cause: String,
    },
    /// The agent answered with an error status.
    #[error("{peer} answered {object} with the error {status}")]
    Device {
        /// The far side.
        peer: String,
        /// What was asked.
        object: String,
        /// SNMP's word for it, such as `genErr`.
        status: &'static str,
    },
    /// The answer is none that SNMP or the MIB allows.
    #[error("{peer} broke the protocol at {object}: {cause}")]
    Breach {
        /// The far side.
        peer: String,
        /// What was asked.
        object: String,
        /// What is wrong with the answer.
        cause: String,
    },
    /// `cewDomainName.0` is another domain's.
    #[error("{peer} is in the EnergyWise domain {found:?}, not in {expected:?}")]
    WrongDomain {
        /// The far side.
        peer: String,
        /// What the switch says.
        found: String,
        /// The domain it is configured in.
        expected: String,
    },
    /// `cewEntTable` is empty.
    #[error("{peer} has no EnergyWise entities")]
    NoEntities {
        /// The far side.
        peer: String,
    },
    /// `cewEntTable` has rows, but none that gives a power.
    #[error("none of the {rows} EnergyWise entities of {peer} is usable: {first}")]
    NoUsableRows {
        /// The far side.
        peer: String,
        /// Rows that should have counted.
        rows: usize,
        /// What is wrong with the first of them.
        first: String,
    },
    /// There is no `cewDomainName.0`.
    #[error(
        "{peer} broke the protocol at cewDomainName.0: it has no such object, so EnergyWise is off or not to be seen"
    )]
    NoDomainName {
        /// The far side.
        peer: String,
    },
    /// The tables of the profile are empty.
    #[error("{peer} has nothing that the profile {profile} reads power from")]
    NoTable {
        /// The far side.
        peer: String,
        /// By its name.
        profile: String,
    },
    /// The tables of the profile have rows, but none that gives a power.
    #[error("none of the {rows} rows of the profile {profile} has data at {peer}: {first}")]
    NoData {
        /// The far side.
        peer: String,
        /// By its name.
        profile: String,
        /// Rows that should have counted.
        rows: usize,
        /// What is wrong with the first of them.
        first: String,
    },
    /// `auto` found none.
    #[error("{peer} has nothing that any profile reads power from")]
    NoProfile {
        /// The far side.
        peer: String,
    },
    /// No socket, no thread: this side's fault.
    #[error("cannot ask {peer}: {cause}")]
    Local {
        /// The far side.
        peer: String,
        /// What the system said.
        cause: String,
    },
    /// A secret could not be had.
    #[error("cannot ask {peer}: its {key} cannot be read: {cause}")]
    Secret {
        /// The far side.
        peer: String,
        /// The key of ew.toml.
        key: &'static str,
        /// Why, without the secret.
        cause: String,
    },
    /// The native protocol without an adapter.
    #[error("cannot ask {peer}: native backend not configured")]
    NoBackend {
        /// The far side.
        peer: String,
    },
    /// An adapter of the native protocol, or what it asked, failed.
    #[error("cannot ask {peer} by {by}: {cause}")]
    Adapter {
        /// The far side.
        peer: String,
        /// Which adapter.
        by: &'static str,
        /// What was tried, and what came of it.
        cause: String,
        /// What to do about it.
        hint: String,
        /// What kind of failure.
        exit: Exit,
    },
    /// A domain query whose answer has no row that counts.
    #[error("{peer} answered for nobody, not even for itself{}{left_out}", if left_out.is_empty() { "" } else { ": " })]
    NoRows {
        /// The far side.
        peer: String,
        /// The rows that were left out, and why; empty where there was none.
        left_out: String,
    },
    /// Something that the configuration check refuses.
    #[error("cannot ask {peer}: {what} is not built yet")]
    NotBuilt {
        /// The far side.
        peer: String,
        /// The protocol or profile.
        what: String,
    },
}

impl EnergyError {
    /// The exit code that a run ends with when every part failed like this.
    pub fn exit(&self) -> Exit {
        match self {
            EnergyError::Resolve { .. } | EnergyError::NoAnswer { .. } | EnergyError::Deadline { .. } => {
                Exit::Unavailable
            }
            EnergyError::Refused { .. } => Exit::Refused,
            EnergyError::Device { .. }
            | EnergyError::Breach { .. }
            | EnergyError::WrongDomain { .. }
            | EnergyError::NoDomainName { .. }
            | EnergyError::NoTable { .. }
            | EnergyError::NoData { .. }
            | EnergyError::NoProfile { .. }
            | EnergyError::NoEntities { .. }
            | EnergyError::NoUsableRows { .. }
            | EnergyError::NoRows { .. } => Exit::Protocol,
            EnergyError::Adapter { exit, .. } => *exit,
            EnergyError::Local { .. } => Exit::Io,
            EnergyError::Secret { .. } | EnergyError::NotBuilt { .. } | EnergyError::NoBackend { .. } => {
                Exit::Config
            }
        }
    }

    /// The agent answered, and what was asked for is not there: it is another kind of device, or has changed.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            EnergyError::NoDomainName { .. } | EnergyError::NoEntities { .. } | EnergyError::NoTable { .. }
        )
    }

    /// It is there and has no data now.
    pub(crate) fn is_without_data(&self) -> bool {
        matches!(self, EnergyError::NoUsableRows { .. } | EnergyError::NoData { .. })
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            EnergyError::Resolve { .. } => {
                "check the switch's address in ew.toml, or write its IP address".into()
            }
            EnergyError::NoAnswer { privacy: true, .. } => "check address and port, and whether the agent \
                is on; to a wrong priv, priv_password or key_extension an agent does not answer at all"
                .into(),
            EnergyError::NoAnswer { v3: true, .. } => "check address and port, and whether the agent is on \
                and lets this host in; a wrong user or password it would have refused"
                .into(),
            EnergyError::NoAnswer { .. } => "check address, port and community, and whether the agent lets \
                this host in; to a wrong community an agent does not answer at all"
                .into(),
            EnergyError::Deadline { .. } => {
                "raise deadline, or lower timeout, retries or max_repetitions, for this switch".into()
            }
            EnergyError::Refused { .. } => "check version, user, auth, auth_password, priv, priv_password \
                and context against the agent's own user and view"
                .into(),
            EnergyError::Device { status: "tooBig", .. } => "lower max_repetitions for this switch".into(),
            EnergyError::Device { .. } => {
                "ask the agent the same with snmpbulkwalk; its own log says why".into()
            }
            EnergyError::Breach { .. } => {
                "see the answer with snmpbulkwalk; an agent update may mend it".into()
            }
            EnergyError::WrongDomain { found, .. } => format!(
                "put the switch under the domain {found:?} in ew.toml, or set check_domain_name = false"
            ),
            EnergyError::NoTable { .. } => {
                "check that the agent's view holds the profile's objects, or write profile = \"auto\"".into()
            }
            EnergyError::NoData { .. } => {
                "see the values with snmpbulkwalk; the device may not measure power".into()
            }
            EnergyError::NoProfile { .. } => {
                "check the agent's view; a [[profile]] of your own can say where power \
                stands (fixtures/ew.toml shows one)"
                    .into()
            }
            EnergyError::NoDomainName { .. }
            | EnergyError::NoEntities { .. }
            | EnergyError::NoUsableRows { .. } => {
                "check that EnergyWise is on (\"show energywise\" on the switch) and that the agent's view \
                 holds 1.3.6.1.4.1.9.9.683"
                    .into()
            }
            EnergyError::Local { .. } => {
                "check the limit of open files (ulimit -n) and of threads, or lower parallel".into()
            }
            EnergyError::Secret { key, .. } => format!("check the source of {key} in ew.toml"),
            EnergyError::NoBackend { .. } => {
                "its wire format is not public: add [native.command] or [native.ssh] to \
                ew.toml, or write protocol = \"snmp\""
                    .into()
            }
            EnergyError::Adapter { hint, .. } => hint.clone(),
            EnergyError::NoRows { left_out, .. } if !left_out.is_empty() => {
                "a row needs its power in watts, 0 or more".into()
            }
            EnergyError::NoRows { .. } => {
                "is EnergyWise on at the switch (\"show energywise\"), and is anything of \
                so little importance?"
                    .into()
            }
            EnergyError::NotBuilt { .. } => "write protocol = \"snmp\" and profile = \"energywise\"".into(),
        }
    }
}
