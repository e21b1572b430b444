//! The corpus: raw bytes over sockets, and three readings of each that must be one: what was sent, what the gateway's
//! event says, and what an upstream that keeps every byte received. One request in is at most one request there.
pub(crate) mod compare;
mod entry;

use crate::support::strict::{self, Request};
use crate::support::{Actor, Answer, Fault, Gateway, HOST, Recorder, Setup, tag};
use entry::{Entry, Expected, Message};
use serde_json::Value;
use std::collections::BTreeMap;

const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"

[[api]]
id = "vouchers"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1/*"

[[api]]
id = "page"
dialect = "voucherify"
schemes = ["publishable"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/client/*"
client_side = true

[[api]]
id = "tokens"
dialect = "standard"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/tokens/*"

[[api]]
id = "standard"
dialect = "standard"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/std/*"
[[api.route]]
path = "/only/get"
methods = ["GET"]

[[api]]
id = "signed"
dialect = "antavo"
names = ["antavo", "aws4"]
schemes = ["escher"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/signed/*"

[[api]]
id = "numbered"
dialect = "avanan"
schemes = ["avanan"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/av/*"

[[api]]
id = "open"
dialect = "standard"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/public/*"
public = true
"#;

/// A gateway of its own, whose upstream keeps every byte.
pub(crate) struct Place {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Recorder,
    pub(crate) server: Actor,
    pub(crate) single: Actor,
}

impl Place {
    pub(crate) fn new() -> Place {
        let upstream = Recorder::start();
        let policy = POLICY.replace("{upstream}", &upstream.address.to_string());
        let mut gateway = Setup::new().policy(policy).prepare();
        let server = gateway.actor("acme", "server", &["--dialect", "voucherify", "--scope", "api"]);
        let single = gateway.actor("acme", "integration", &["--dialect", "standard"]);
        gateway.start();
        Place { gateway, upstream, server, single }
    }

    /// Whom the gateway has to name to the upstream for a target.
    pub(crate) fn caller(&self, target: &str) -> Option<&Actor> {
        match target.split('/').nth(1) {
            Some("v1") => Some(&self.server),
            Some("std" | "only") => Some(&self.single),
            _ => None,
        }
    }

    /// A text with everything in place; `{T}` is in the target of what is sent, `{S}` in what must be no request.
    fn filled(&self, text: &str, tag: &str, smuggled: &str) -> Result<Vec<u8>, String> {
        let lines = |actor: &Actor| actor.lines().trim_end().replace("\r\n", "\\r\\n");
        let wrong = self.server.with_secret("wrong");
        let host = format!("Host: {HOST}");
        let text = text
            .replace("{T}", tag)
            .replace("{S}", smuggled)
            .replace("{H}", &format!("{host}\\r\\n{}", lines(&self.server)))
            .replace("{K}", &lines(&self.server))
            .replace("{std}", &format!("{host}\\r\\n{}", lines(&self.single)))
            .replace("{wrong}", &format!("{host}\\r\\n{}", lines(&wrong)))
            .replace("{host}", &host);
        entry::bytes(&text)
    }
}

/// What there is to look for in the events, once they are written.
struct Told {
    place: String,
    request_id: String,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Default)]
struct Tally {
    requests: usize,
    refused: usize,
    denied: usize,
    passed: usize,
    told: Vec<Told>,
    demands: BTreeMap<String, usize>,
}

/// Sends an entry, with a plain request behind it, and looks at everything that comes of it.
fn run(place: &Place, entry: &Entry, tally: &mut Tally) -> Result<(), String> {
    let (own, smuggled, behind) = (tag(), tag(), tag());
    let Message::Http1(text) = &entry.message;
    let bytes = place.filled(text, &own, &smuggled)?;
    let canary = place.server.get(&format!("/v1/{behind}"));
    let mut connection = place.gateway.connect();
    // The gateway may close before all of it is sent.
    let _ = connection.try_send([&bytes, canary.as_bytes()].concat());
    // Up to what can't be read.
    let sent = strict::sent(&bytes).unwrap_or_else(|(all, _)| all);
    let mut wanted: Vec<(&Request, String)> = Vec::new();
    let mut ended = false;
    for (nth, expected) in entry.expected.iter().enumerate() {
        let request = sent.get(nth);
        let method = request.map_or("GET", |request| request.method.as_str());
        let answer = connection.try_answer(method).map_err(|fault| format!("no answer {nth}: {fault:?}"))?;
        let of_event = judge(&answer, expected, request)?;
        ended = answer.closes();
        match expected {
            Expected::Passed { target, .. } => {
                let sent = request.ok_or_else(|| format!("what was sent is no request: {sent:?}"))?;
                let target = target.as_ref().map_or(sent.target.clone(), |t| t.replace("{T}", &own));
                wanted.push((sent, target));
                tally.passed += 1;
            }
            Expected::Refused { .. } => tally.refused += 1,
            Expected::Denied { .. } => tally.denied += 1,
        }
        let request_id = answer.id().to_owned();
        tally.told.push(Told { place: entry.place.clone(), request_id, fields: of_event });
        tally.requests += 1;
    }
    let served = if ended {
        match connection.inbox.fill() {
            Err(Fault::Ended | Fault::Cut(_)) if connection.inbox.waiting().is_empty() => false,
            other => {
                return Err(format!("not closed: {other:?} {}", connection.inbox.waiting().escape_ascii()));
            }
        }
    } else {
        let answer = connection.try_answer("GET").map_err(|fault| format!("out of step: {fault:?}"))?;
        if answer.status != 200 {
            return Err(format!("out of step: {answer:?}"));
        }
        true
    };
    let reached = place.upstream.fresh()?;
    let (last, rest) = match served {
        true => reached.split_last().map(|(last, rest)| (Some(last), rest)).unwrap_or_default(),
        false => (None, &reached[..]),
    };
    if served != last.is_some_and(|last| last.target == format!("/v1/{behind}")) || rest.len() != wanted.len()
    {
        return Err(format!("{} requests arrived, not {}: {reached:?}", reached.len(), wanted.len()));
    }
    if let Some(one) = reached.iter().find(|one| one.head_holds(&smuggled)) {
        return Err(format!("smuggled: {one:?}"));
    }
    for ((sent, target), got) in wanted.iter().zip(rest) {
        compare::same(sent, got, target, place.caller(target))?;
    }
    Ok(())
}

/// Holds an answer against what is expected; what its event has to say.
fn judge(
    answer: &Answer,
    expected: &Expected,
    request: Option<&Request>,
) -> Result<Vec<(&'static str, Value)>, String> {
    let wrong = |why: &str| Err(format!("{why}: {expected:?} {answer:?}"));
    match expected {
        Expected::Passed { ends, .. } => {
            if (answer.status, answer.code()) != (200, "") || answer.closes() != *ends {
                return wrong("not passed");
            }
            let Some(request) = request else { return Ok(Vec::new()) };
            let absolute =
                request.target.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
            let target = absolute.filter(|_| !request.target.starts_with('/')).unwrap_or(&request.target);
            let path = target.split('?').next().unwrap_or_default();
            let host = request.all("host").first().map_or(Value::Null, |host| (*host).into());
            Ok(vec![
                ("method", request.method.as_str().into()),
                ("path", path.into()),
                ("host", host),
                ("decision", "permit".into()),
                ("complete", true.into()),
                ("client", "127.0.0.1".into()),
            ])
        }
        Expected::Refused { status, code, detail } | Expected::Denied { status, code, detail } => {
            if (answer.status, answer.code()) != (*status, code.as_str()) {
                return wrong("another refusal");
            }
            if matches!(expected, Expected::Refused { .. }) && !answer.closes() {
                return wrong("the connection goes on");
            }
            let mut of_event = vec![("code", code.as_str().into()), ("status", (*status).into())];
            of_event.extend(detail.as_deref().map(|detail| ("detail", detail.into())));
            Ok(of_event)
        }
    }
}

/// What the event of each request says, all of them at once: they are written a little later.
fn look_at_events(place: &Place, told: &[Told]) -> Vec<String> {
    let last = told.last().expect("the corpus is not empty");
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

#[test]
fn one_request_in_is_at_most_one_request_out_and_means_the_same() {
    let place = Place::new();
    let entries = entry::all();
    let mut tally = Tally::default();
    let mut disagreements = Vec::new();
    for entry in &entries {
        if let Err(why) = run(&place, entry, &mut tally) {
            disagreements.push(format!("{} {}: {why}", entry.place, entry.name));
            // Whatever is left of it must not count against the next one.
            let _ = place.upstream.fresh();
        }
        entry.demands.iter().for_each(|demand| *tally.demands.entry(demand.clone()).or_default() += 1);
    }
    disagreements.extend(look_at_events(&place, &tally.told));
    place.gateway.expect_no_panic();
    let Tally { requests, refused, denied, passed, demands, .. } = &tally;
    println!(
        "figures: corpus: {} entries for {} demands, {requests} requests sent, {refused} refused, {denied} denied, {passed} passed, {} disagreements",
        entries.len(),
        demands.len(),
        disagreements.len()
    );
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    assert!(*refused > 100 && *denied > 10 && *passed > 50, "too few of one kind");
}

/// A runner that lets everything pass would find nothing.
#[test]
fn the_corpus_is_read_carefully() {
    let one =
        "== S9112-1, case 37: a name\n=> refused 400 code detail\n| GET / HTTP/1.1\n|\n> a\\x41{3*bc}\n";
    let read = entry::parse("f", one).unwrap();
    assert_eq!((read[0].demands.len(), read[0].name.as_str()), (2, "a name"));
    let Message::Http1(text) = &read[0].message;
    assert_eq!(entry::bytes(text).unwrap(), b"GET / HTTP/1.1\r\n\r\naAbcbcbc");
    for wrong in [
        "== a name\n",
        "== S9112-1: x\n",
        "== S9112-1: x\n| a\n",
        "== S9112-1: x\n=> passed\n",
        "| a\n",
        "== S9112-1: x\n=> perhaps\n| a\n",
        "== S9112: x\n=> passed\n| a\n",
        "== S9112-1: x\n=> refused 400\n| a\n",
        "== S9112-1: x\n=> passed\n? a\n",
    ] {
        assert!(entry::parse("f", wrong).is_err(), "{wrong}");
    }
    assert!(entry::bytes("\\q").is_err() && entry::bytes("\\x4").is_err());
    let ours = "Host: a\r\nDoorward-Request-Id: 1\r\n";
    let good = format!("GET / HTTP/1.1\r\n{ours}\r\n");
    assert_eq!(strict::reached(good.as_bytes()).map(|(all, used)| (all.len(), used)), Ok((1, good.len())));
    for bad in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\n{}\r\n",
        "GET / HTTP/1.1\r\n{}{}\r\n",
        "GET / HTTP/1.1\r\n{}X_Forwarded_For: 1\r\n\r\n",
        "GET / HTTP/1.1\r\n{}doorward.kind: 1\r\n\r\n",
        "GET / HTTP/1.1\r\n{}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\n{}TE: trailers\r\n\r\n",
        "GET / HTTP/1.1\r\n{}Connection: x\r\n\r\n",
        "POST / HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n1;a\r\nb\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n0\r\nDoorward-Kind: x\r\n\r\n",
    ] {
        assert!(strict::reached(bad.replace("{}", ours).as_bytes()).is_err(), "{bad}");
    }
}
