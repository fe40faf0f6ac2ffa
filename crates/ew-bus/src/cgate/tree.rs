//! What C-Gate has seen on a network: units from TREEXMLDETAIL or TREEXML, groups with their units from TREE. Pure.

use super::levels::group_in;
use super::reply::{Row, assignment};
use crate::xml::{Part, walk};

/// The application by which units are managed, and the group that stands for none.
pub(crate) const UNUSED: u8 = 255;

/// A unit on the bus.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TreeUnit {
    pub(crate) address: u8,
    pub(crate) kind: Option<String>,
    pub(crate) catalogue: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) part_name: Option<String>,
    /// Without 255; none: not told.
    pub(crate) applications: Option<Vec<u8>>,
    /// Without 255.
    pub(crate) groups: Vec<u8>,
    pub(crate) volts: Option<f64>,
    /// C-Gate's own: `ok`, `new`, …
    pub(crate) state: Option<String>,
    pub(crate) online_status: Option<String>,
    /// Two units answer at this address.
    pub(crate) is_duplicate: bool,
    /// What stands in its `Error`.
    pub(crate) error: Option<String>,
}

/// A group that C-Gate knows of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TreeGroup {
    pub(crate) application: u8,
    pub(crate) address: u8,
    pub(crate) units: Vec<u8>,
}

/// Units of a document, and a line for each that could not be used.
pub(crate) fn units_of_xml(xml: &str) -> Result<(Vec<TreeUnit>, Vec<String>), String> {
    let mut units = Vec::new();
    let mut odd = Vec::new();
    let mut unit = TreeUnit::default();
    let mut address = None;
    walk(xml, |path, part| {
        let inner = match path.iter().position(|name| name == "Unit") {
            Some(at) => &path[at + 1..],
            None => return,
        };
        match (inner, part) {
            ([], Part::Open(_)) => (unit, address) = (TreeUnit::default(), None),
            ([], Part::Close(_)) => match address.take() {
                Some(address) => units.push(TreeUnit { address, ..std::mem::take(&mut unit) }),
                None => odd.push("a unit without an address from 0 to 255 is left out".to_owned()),
            },
            ([name], Part::Close(text)) if name == "Address" => address = text.parse().ok(),
            ([name], Part::Close(text)) => unit.set(name, text),
            _ => {}
        }
    })?;
    Ok((units, odd))
}

/// Units and groups of TREE's rows for a network `//HOME/254`.
pub(crate) fn of_rows(rows: &[Row], network: &str) -> (Vec<TreeUnit>, Vec<TreeGroup>) {
    let mut units = Vec::new();
    let mut groups = Vec::new();
    for row in rows.iter().filter(|row| row.code == 320) {
        let text = row.text.trim();
        let (path, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = path.rsplitn(3, '/');
        let (address, application, of) = (parts.next(), parts.next(), parts.next());
        if !of.is_some_and(|of| of.eq_ignore_ascii_case(network)) {
            continue;
        }
        let fields = fields(rest);
        match (application, address) {
            (Some("p"), Some(address)) => units.extend(address.parse().ok().map(|address| {
                let mut unit = TreeUnit { address, ..TreeUnit::default() };
                for (name, value) in &fields {
                    unit.set(name, value);
                }
                unit
            })),
            (Some(application), Some(address)) => {
                let (Ok(application), Ok(address)) = (application.parse(), address.parse()) else { continue };
                let of = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, v)| v);
                groups.push(TreeGroup {
                    application,
                    address,
                    units: of("units").map(|units| numbers(units).collect()).unwrap_or_default(),
                });
            }
            _ => {}
        }
    }
    (units, groups)
}

/// Groups of an application of `network` with their units from `//HOME/254/56/8: Units=4,6`, for a server without TREE.
pub(crate) fn groups_of_units(rows: &[Row], network: &str, application: u8) -> Vec<TreeGroup> {
    let (rows, object) = (rows.iter().filter(|row| row.code == 300), format!("{network}/{application}"));
    rows.filter_map(|row| {
        let (_, _, units) = assignment(&row.text)?;
        let address = group_in(&row.text, &object)?;
        Some(TreeGroup { application, address, units: numbers(units).collect() })
    })
    .collect()
}

impl TreeUnit {
    /// A field by the name it has in XML, or in TREE.
    fn set(&mut self, name: &str, text: &str) {
        let told = || (!text.is_empty()).then(|| text.to_owned());
        match name {
            "Type" | "type" => self.kind = told(),
            "CatalogueNumber" => self.catalogue = told(),
            "Version" => self.firmware = told(),
            "SerialNo" => self.serial = told(),
            "PartName" => self.part_name = told(),
            "Application" | "app" => self.applications = Some(used(text)),
            "Groups" | "groups" => self.groups = used(text),
            "Voltage" => self.volts = text.parse().ok().filter(|volts: &f64| volts.is_finite()),
            "State" | "state" => self.state = told(),
            "OnlineStatus" => {
                self.is_duplicate |= text.eq_ignore_ascii_case("duplicate");
                self.online_status = told();
            }
            "Error" => {
                self.is_duplicate |= text.eq_ignore_ascii_case("DUPLICATE");
                self.error = told();
            }
            _ => {}
        }
    }
}

/// Numbers of a list such as `17,18` or `56($38), 255($ff)`.
pub(crate) fn numbers(list: &str) -> impl Iterator<Item = u8> {
    list.split(',').filter_map(|item| item.split('(').next().unwrap_or(item).trim().parse().ok())
}

/// The same without 255, each once, in order.
pub(crate) fn used(list: &str) -> Vec<u8> {
    let mut used: Vec<u8> = numbers(list).filter(|number| *number != UNUSED).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// `a=x b=y, z c=` as names and values; a value may have blanks.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for word in text.split_whitespace() {
        match (word.split_once('='), fields.last_mut()) {
            (Some((name, value)), _) => fields.push((name.to_owned(), value.to_owned())),
            (None, Some((_, value))) => {
                value.push(' ');
                value.push_str(word);
            }
            (None, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_with_blank_padded_names_and_a_doubled_address() {
        let xml = "<Network>\n <Unit>\n  <Type>KEYE1</Type>\n  <CatalogueNumber>5031NMML</CatalogueNumber>\n\
            <Version>2.5.00</Version><SerialNo>101136.1558</SerialNo><Address>4</Address>\
            <PartName>SIMKEY1 </PartName><Application>56, 255</Application><Groups>13,12,12,255</Groups>\
            <Voltage>26.3</Voltage><State>ok</State><OnlineStatus>new</OnlineStatus></Unit>\
            <Unit><Error>DUPLICATE</Error><Address>3</Address></Unit><Unit><Type>X</Type></Unit></Network>";
        let (units, odd) = units_of_xml(xml).unwrap();
        assert_eq!(units.len(), 2);
        assert_eq!(units[0].part_name.as_deref(), Some("SIMKEY1"));
        assert_eq!(units[0].applications.as_deref(), Some(&[56][..]));
        assert_eq!((&units[0].groups[..], units[0].volts), (&[12, 13][..], Some(26.3)));
        assert_eq!((units[1].address, units[1].is_duplicate, &units[1].applications), (3, true, &None));
        assert_eq!(odd, ["a unit without an address from 0 to 255 is left out"]);
    }

    #[test]
    fn groups_of_a_tree_keep_their_units() {
        let row = |text: &str| Row { code: 320, text: text.into() };
        let rows = [
            row("Network name:254 type=cni address=192.0.2.5:10001 state=ok"),
            row("  Unit count=2"),
            row("//HOME/254/p/1 ($1) type=DIMDN8 app=56($38), 255($ff) state=ok groups=13,14,15"),
            row("  Application 56 ($38) [lighting]"),
            row("  //HOME/254/56/8 ($8) level=228 state=ok units=4,6 "),
            row("  //HOME/254/56/9 ($9) level=0 state=error units= (phantom)"),
            row("  //ANNEX/254/56/10 ($a) level=0 state=ok units=4"),
            row("//HOME/253/p/2 ($2) type=DIMDN8"),
            row("-end-"),
        ];
        let (units, groups) = of_rows(&rows, "//HOME/254");
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].kind.as_deref(), Some("DIMDN8"));
        assert_eq!(units[0].groups, [13, 14, 15]);
        let group = |address, units: &[u8]| TreeGroup { application: 56, address, units: units.to_vec() };
        assert_eq!(groups, [group(8, &[4, 6]), group(9, &[])]);
    }

    proptest! {
        #[test]
        fn takes_anything(text in "(//|HOME|/|p|254|56|255|999|=|,|\\(|\\$| |:|units|state|groups|app|ä){0,40}") {
            let rows = [Row { code: 320, text: text.clone() }, Row { code: 300, text }];
            of_rows(&rows, "//HOME/254");
            groups_of_units(&rows, "//HOME/254", 56);
        }
    }
}
