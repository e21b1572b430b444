//! What the gateway's events say of what was sent.
use super::Place;
use serde_json::Value;
use std::collections::BTreeMap;

/// What there is to look for in the events, once they are written.
pub(super) struct Told {
    pub(super) place: String,
    pub(super) request_id: String,
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// What the event of each request says, all of them at once: they are written a little later.
pub(super) fn look_at_events(place: &Place, told: &[Told]) -> Vec<String> {
    let Some(last) = told.last() else { return Vec::new() };
    place.gateway.event(&last.request_id);
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let missing = |events: &BTreeMap<String, Vec<Value>>| {
        told.iter().find(|told| !events.contains_key(&told.request_id)).map(|told| told.request_id.clone())
    };
    crate::support::eventually("every event", || {
        events.clear();
        for line in place.gateway.event_lines() {
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            events
                .entry(event["request_id"].as_str().unwrap_or_default().to_owned())
                .or_default()
                .push(event);
        }
        missing(&events).is_none()
    });
    let mut wrong = Vec::new();
    for Told { place, request_id, fields } in told {
        let [event] = &events[request_id][..] else {
            wrong.push(format!("{place}: {} events", events[request_id].len()));
            continue;
        };
        // What could not be read was for nobody and nothing.
        let read = ["method", "path", "host", "route", "workspace", "credential", "upstream_us"];
        if event["decision"] == "reject" && read.iter().any(|name| !event[name].is_null()) {
            wrong.push(format!("{place}: read all the same: {event}"));
        }
        for (name, value) in fields {
            if event[name] != *value {
                wrong.push(format!("{place}: {name} is not {value}: {event}"));
            }
        }
    }
    wrong
}
