//! The corpus: raw bytes and frames over sockets, and three readings of each that must be one: what was sent, what the gateway's
//! event says, and what an upstream that keeps every byte received. One request in is at most one request there.
mod careful;
pub(crate) mod compare;
mod entry;
mod over_h2;
mod script;
mod told;

use crate::support::strict::{self, Request};
use crate::support::{Actor, Answer, Fault, Gateway, HOST, Recorder, Setup, tag};
use entry::{Entry, Expected, Message};
use serde_json::Value;
use std::collections::BTreeSet;
use told::{Told, look_at_events};

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
        Place::with(false)
    }

    /// Whether it speaks HTTP/2 as well.
    fn with(http2: bool) -> Place {
        let upstream = Recorder::start();
        let policy = POLICY.replace("{upstream}", &upstream.address.to_string());
        let mut gateway = Setup::new().policy(policy).set("plain_http", "http2", http2).prepare();
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
    fn placed(&self, text: &str, tag: &str, smuggled: &str) -> String {
        let lines = |actor: &Actor| actor.lines().trim_end().replace("\r\n", "\\r\\n");
        let wrong = self.server.with_secret("wrong");
        let host = format!("Host: {HOST}");
        text.replace("{T}", tag)
            .replace("{S}", smuggled)
            .replace("{H}", &format!("{host}\\r\\n{}", lines(&self.server)))
            .replace("{K}", &lines(&self.server))
            .replace("{std}", &format!("{host}\\r\\n{}", lines(&self.single)))
            .replace("{wrong}", &format!("{host}\\r\\n{}", lines(&wrong)))
            .replace("{host}", &host)
    }

    /// The same as bytes.
    fn filled(&self, text: &str, tag: &str, smuggled: &str) -> Result<Vec<u8>, String> {
        entry::bytes(&self.placed(text, tag, smuggled))
    }
}

#[derive(Default)]
struct Tally {
    entries: usize,
    requests: usize,
    refused: usize,
    denied: usize,
    passed: usize,
    told: Vec<Told>,
    demands: BTreeSet<String>,
}

impl Tally {
    fn count(&mut self, expected: &Expected) {
        *match expected {
            Expected::Passed { .. } => &mut self.passed,
            Expected::Denied { .. } => &mut self.denied,
            Expected::Refused { .. } | Expected::Reset(_) | Expected::Ended(_) => &mut self.refused,
        } += 1;
    }

    fn add(&mut self, other: Tally) {
        self.entries += other.entries;
        self.requests += other.requests;
        self.refused += other.refused;
        self.denied += other.denied;
        self.passed += other.passed;
        self.demands.extend(other.demands);
    }
}

/// Sends an entry, with a plain request behind it, and looks at everything that comes of it.
fn run(place: &Place, entry: &Entry, text: &str, tally: &mut Tally) -> Result<(), String> {
    let (own, smuggled, behind) = (tag(), tag(), tag());
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
        let of_event = judge(&answer, expected, request, false)?;
        ended = answer.closes();
        if let Expected::Passed { target, .. } = expected {
            let sent = request.ok_or_else(|| format!("what was sent is no request: {sent:?}"))?;
            let target = target.as_ref().map_or(sent.target.clone(), |t| t.replace("{T}", &own));
            wanted.push((sent, target));
        }
        tally.count(expected);
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
    arrived(place, &wanted, served.then_some(&behind), &smuggled)
}

/// Holds what the upstream received since the last entry against what it should have, and under which target: each of them
/// once, the plain request behind them where it was served, and nothing else.
fn arrived(
    place: &Place,
    wanted: &[(&Request, String)],
    behind: Option<&String>,
    smuggled: &str,
) -> Result<(), String> {
    let mut reached = place.upstream.fresh()?;
    if let Some(one) = reached.iter().find(|one| one.head_holds(smuggled)) {
        return Err(format!("smuggled: {one:?}"));
    }
    let count = reached.len();
    let plain = behind.map(|behind| format!("/v1/{behind}"));
    reached.retain(|one| Some(&one.target) != plain.as_ref());
    if reached.len() != wanted.len() || count - reached.len() != usize::from(behind.is_some()) {
        return Err(format!("{count} requests arrived, {} were wanted: {reached:?}", wanted.len()));
    }
    for (sent, target) in wanted {
        let got = reached.iter().position(|got| got.target == *target);
        let got = got.ok_or_else(|| format!("{target} did not arrive: {reached:?}"))?;
        compare::same(sent, &reached.remove(got), target, place.caller(target))?;
    }
    Ok(())
}

/// Holds an answer against what is expected; what its event has to say.
fn judge(
    answer: &Answer,
    expected: &Expected,
    request: Option<&Request>,
    http2: bool,
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
            let refused = matches!(expected, Expected::Refused { .. });
            if refused && !http2 && !answer.closes() {
                return wrong("the connection goes on");
            }
            let mut of_event = vec![("code", code.as_str().into()), ("status", (*status).into())];
            // With what is wrong with a body, the head was read before.
            if refused && http2 && request.is_some_and(|request| request.framed == strict::Framed::Nothing) {
                of_event.push(("decision", "reject".into()));
            }
            of_event.extend(detail.as_deref().map(|detail| ("detail", detail.into())));
            Ok(of_event)
        }
        Expected::Reset(_) | Expected::Ended(_) => wrong("an answer"),
    }
}

/// What came of all entries of one kind.
fn all_of(
    place: &Place,
    entries: &[&Entry],
    run: impl Fn(&Entry, &mut Tally) -> Result<bool, String>,
) -> (Tally, Vec<String>) {
    let (mut tally, mut disagreements) = (Tally::default(), Vec::new());
    for entry in entries {
        match run(entry, &mut tally) {
            Ok(sent) => tally.entries += usize::from(sent),
            Err(why) => {
                tally.entries += 1;
                disagreements.push(format!("{} {}: {why}", entry.place, entry.name));
                // Whatever is left of it must not count against the next one.
                let _ = place.upstream.fresh();
            }
        }
        tally.demands.extend(entry.demands.iter().cloned());
    }
    disagreements.extend(look_at_events(place, &tally.told));
    (tally, disagreements)
}

#[test]
fn one_request_in_is_at_most_one_request_out_and_means_the_same() {
    let (place, second_place) = (Place::new(), Place::with(true));
    let entries = entry::all();
    let (first, second): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| matches!(entry.message, Message::Http1(_)));
    let of_text = all_of(&place, &first, |entry, tally| match &entry.message {
        Message::Http1(text) => run(&place, entry, text, tally).map(|()| true),
        Message::Http2(_) => Ok(false),
    });
    let of_frames = all_of(&second_place, &second, |entry, tally| match &entry.message {
        Message::Http2(lines) => over_h2::run(&second_place, entry, lines, tally).map(|()| true),
        Message::Http1(_) => Ok(false),
    });
    let retold =
        all_of(&second_place, &first, |entry, tally| over_h2::run_retold(&second_place, entry, tally));
    [&place, &second_place].iter().for_each(|place| place.gateway.expect_no_panic());
    let mut whole = (Tally::default(), Vec::new());
    let each = [("HTTP/1.1", of_text), ("HTTP/2", of_frames), ("HTTP/1.1 retold as HTTP/2", retold)];
    for (what, (tally, disagreements)) in each {
        tell(what, &tally, disagreements.len());
        assert!(tally.refused > 100 && tally.denied > 10 && tally.passed > 50, "{what}: too few of one kind");
        whole.0.add(tally);
        whole.1.extend(disagreements);
    }
    let (tally, disagreements) = whole;
    tell("both versions", &tally, disagreements.len());
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

fn tell(what: &str, tally: &Tally, disagreements: usize) {
    let Tally { entries, requests, refused, denied, passed, demands, .. } = tally;
    println!(
        "figures: corpus, {what}: {entries} entries for {} demands, {requests} requests sent, {refused} refused, {denied} denied, {passed} passed, {disagreements} disagreements",
        demands.len()
    );
}
