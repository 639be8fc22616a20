//! Which incident in the log of events is the one that a fault began.

use crate::error::Error;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Reads the log on from where it stood before a fault. Only an incident whose
/// `incident.opened` stands behind that, and that ended no earlier fault, is
/// the fault's: a position that is lost or misread gives an error, never
/// another fault's time.
#[derive(Debug)]
pub(crate) struct Incidents {
    /// Behind which event the log is read on; the gateway's own words.
    after: String,
    /// Opened since the fault.
    opened: BTreeSet<String>,
    /// All that were ever seen here.
    seen: BTreeSet<String>,
}

impl Incidents {
    /// Begins at the end of the log, as an answer to `after=end` names it.
    ///
    /// # Errors
    ///
    /// Where the answer names no position.
    pub(crate) fn at_end(page: &Value) -> Result<Self, Error> {
        Ok(Self {
            after: next(page)?,
            opened: BTreeSet::new(),
            seen: BTreeSet::new(),
        })
    }

    /// Behind which event to read on.
    pub(crate) fn after(&self) -> &str {
        &self.after
    }

    /// A fault is about to happen: what the log held until now, as an answer to
    /// `after=end` names its end, is not the fault's.
    ///
    /// # Errors
    ///
    /// Where the answer names no position.
    pub(crate) fn fault(&mut self, page: &Value) -> Result<(), Error> {
        self.after = next(page)?;
        self.opened.clear();
        Ok(())
    }

    /// Reads a page of `incident.opened` and `incident.closed`; gives the
    /// incident that was recovered from, once it is there.
    ///
    /// # Errors
    ///
    /// Where the page names no position, or tells of an incident that was
    /// there before the fault.
    pub(crate) fn read(&mut self, page: &Value) -> Result<Option<Value>, Error> {
        self.after = next(page)?;
        for event in page["items"].as_array().into_iter().flatten() {
            let incident = &event["data"];
            let id = incident["id"]
                .as_str()
                .ok_or_else(|| Error::Bench(format!("an incident without an id: {event}")))?;
            let known = match event["type"].as_str() {
                Some("incident.opened") => {
                    self.opened.insert(id.to_owned());
                    !self.seen.insert(id.to_owned())
                }
                _ => !self.opened.contains(id),
            };
            if known {
                return Err(Error::Bench(format!(
                    "the log tells of an incident from before the fault: {event}"
                )));
            }
            if event["type"] == json!("incident.closed")
                && incident["outcome"] == json!("recovered")
            {
                return Ok(Some(incident.clone()));
            }
        }
        Ok(None)
    }
}

/// The position that a page of the log ends at. It is text: whoever reads it as
/// a number reads nothing, and begins from the oldest event again.
fn next(page: &Value) -> Result<String, Error> {
    match page["next"].as_str() {
        Some(next) if !next.is_empty() => Ok(next.to_owned()),
        _ => Err(Error::Bench(format!(
            "a page of events without its next: {page}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: &str, id: &str, outcome: Option<&str>) -> Value {
        json!({ "type": what, "data": { "id": id, "outcome": outcome } })
    }

    fn page(next: &str, items: &[Value]) -> Value {
        json!({ "next": next, "items": items })
    }

    fn begun() -> Incidents {
        Incidents::at_end(&page("7", &[])).expect("a position")
    }

    #[test]
    fn a_page_without_a_position_in_text_is_an_error() {
        for wrong in [json!({}), json!({"next": 7}), json!({"next": ""})] {
            assert!(Incidents::at_end(&wrong).is_err(), "{wrong}");
            assert!(begun().fault(&wrong).is_err(), "{wrong}");
            assert!(begun().read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_incident_that_began_and_ended_behind_the_fault_is_the_faults() {
        let mut incidents = begun();
        let opened = event("incident.opened", "inc_1", None);
        assert_eq!(incidents.read(&page("8", &[opened])).expect("a page"), None);
        assert_eq!(incidents.after(), "8");
        let given_up = event("incident.closed", "inc_1", Some("interrupted"));
        let opened = event("incident.opened", "inc_2", None);
        let healed = event("incident.closed", "inc_2", Some("recovered"));
        let found = incidents.read(&page("11", &[given_up, opened, healed]));
        assert_eq!(found.expect("a page").expect("healed")["id"], "inc_2");
    }

    #[test]
    fn an_earlier_faults_incident_is_an_error_however_it_comes() {
        let opened = event("incident.opened", "inc_1", None);
        let healed = event("incident.closed", "inc_1", Some("recovered"));
        let all = page("9", &[opened, healed.clone()]);
        let mut incidents = begun();
        assert!(incidents.read(&all).expect("a page").is_some());

        // Its opening is not behind the next fault any more.
        incidents.fault(&page("9", &[])).expect("a position");
        assert!(incidents.read(&page("9", &[healed])).is_err());
        // The log is read from its beginning again.
        incidents.fault(&page("9", &[])).expect("a position");
        assert!(incidents.read(&all).is_err());
    }
}
