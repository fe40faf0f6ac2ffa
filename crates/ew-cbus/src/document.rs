//! The JSON document of a discovery: one for any number of buses, for every row names its bus.

use ew_bus::Discovery;
use serde_json::{Map, Value, json};

/// The lists of a discovery.
const LISTS: [&str; 6] = ["networks", "applications", "groups", "units", "unit_groups", "measurements"];

/// A discovery with its number in the log, where it is there.
pub(crate) struct Numbered {
    pub(crate) id: Option<i64>,
    pub(crate) discovery: Discovery,
    /// The lists that its document does not have: of those it says nothing.
    pub(crate) untold: Vec<&'static str>,
}

/// The document of these, and of the buses that nothing can be said of, each with the reason.
pub(crate) fn document(found: &[Numbered], errors: &[(String, String)]) -> serde_json::Result<Value> {
    let mut lists: Map<String, Value> = LISTS.iter().map(|list| ((*list).to_owned(), json!([]))).collect();
    let (mut heads, mut warnings, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for Numbered { id, discovery, .. } in found {
        let Value::Object(mut head) = serde_json::to_value(discovery)? else { continue };
        for (list, rows) in &mut lists {
            if let (Value::Array(rows), Some(Value::Array(own))) = (rows, head.remove(list)) {
                rows.extend(own);
            }
        }
        for warning in &discovery.warnings {
            let mut warning = serde_json::to_value(warning)?;
            warning["bus"] = json!(discovery.bus);
            warnings.push(warning);
        }
        reasons
            .extend(discovery.incomplete_reasons.iter().map(|reason| format!("{}: {reason}", discovery.bus)));
        head.insert("id".into(), json!(id));
        heads.push(Value::Object(head));
    }
    reasons.extend(errors.iter().map(|(bus, error)| format!("{bus}: {error}")));
    let all: Vec<Option<bool>> = found.iter().map(|found| found.discovery.complete).collect();
    let complete = match all.contains(&Some(false)) || !errors.is_empty() {
        true => Some(false),
        false => (!all.contains(&None)).then_some(true),
    };
    let error = |(bus, error): &(String, String)| json!({"bus": bus, "error": error});
    let mut document = Map::from_iter([
        ("complete".to_owned(), json!(complete)),
        ("incomplete_reasons".to_owned(), json!(reasons)),
        ("warnings".to_owned(), json!(warnings)),
        ("discoveries".to_owned(), json!(heads)),
        ("errors".to_owned(), errors.iter().map(error).collect()),
    ]);
    document.append(&mut lists);
    Ok(Value::Object(document))
}

/// The discoveries of a document; the text says what is wrong with it.
pub(crate) fn discoveries(text: &str) -> Result<Vec<Numbered>, String> {
    let document: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
    let heads = document["discoveries"].as_array().ok_or("it has no discoveries")?;
    if let Some(list) = LISTS.into_iter().find(|list| !document[list].is_array() && !document[list].is_null())
    {
        return Err(format!("its {list} are no list"));
    }
    let untold: Vec<&str> = LISTS.into_iter().filter(|list| document[list].is_null()).collect();
    let of = |head: &Value| {
        let mut whole = head.clone();
        for list in LISTS {
            let rows = document[list].as_array().into_iter().flatten();
            whole[list] = rows.filter(|row| row["bus"] == head["bus"]).cloned().collect();
        }
        let discovery = serde_json::from_value(whole).map_err(|e| format!("it is no discovery: {e}"))?;
        Ok(Numbered { id: head["id"].as_i64(), discovery, untold: untold.clone() })
    };
    heads.iter().filter(|head| head.is_object()).map(of).collect()
}

/// Copies the lists that one of two does not tell of from the other, so that no change is seen in them.
pub(crate) fn level_out(one: &mut Numbered, other: &mut Numbered) {
    let copy = |untold: &[&str], from: &Discovery, to: &mut Discovery| {
        for list in untold {
            match *list {
                "networks" => to.networks.clone_from(&from.networks),
                "applications" => to.applications.clone_from(&from.applications),
                "groups" => to.groups.clone_from(&from.groups),
                "units" => to.units.clone_from(&from.units),
                "unit_groups" => to.unit_groups.clone_from(&from.unit_groups),
                _ => to.measurements.clone_from(&from.measurements),
            }
        }
    };
    copy(&one.untold, &other.discovery, &mut one.discovery);
    copy(&other.untold, &one.discovery, &mut other.discovery);
}
