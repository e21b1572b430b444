//! Counts in the text form that Prometheus reads (exposition format 0.0.4).
use crate::config::Config;
use crate::ledger::{OUTCOMES, Status};
use crate::{captcha, limits};
use doorward_core::policy::Rule;
use doorward_gateway::{LATENCY_BOUNDS_US, Snapshot, UpstreamState};
use std::fmt::{Display, Write};

/// The media type of [`render`]'s text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The labels of a node, as samples have them.
pub(crate) struct About(String);

/// What a node is called, and what it is there for.
pub(crate) fn about(config: &Config) -> About {
    // Names and regions are letters, digits, `-`, `_` and `.`: nothing to escape.
    About(format!(
        "{{name=\"{}\",version=\"{}\",role=\"{}\",region=\"{}\"}}",
        config.name,
        env!("CARGO_PKG_VERSION"),
        config.role.name(),
        config.region.as_deref().unwrap_or_default()
    ))
}

/// What is true at this moment.
pub(crate) struct Gauges {
    pub(crate) ready: bool,
    /// Credentials in memory.
    pub(crate) credentials: u64,
    /// The last change of the store that is obeyed.
    pub(crate) seq: i64,
    /// How old what decisions are made from is; `None` before the first load.
    pub(crate) age_ms: Option<u64>,
    /// Whether the store answered when it was last asked.
    pub(crate) store_up: bool,
    /// How often it has stopped answering.
    pub(crate) store_outages: u64,
    /// How often the wall clock was set.
    pub(crate) clock_jumps: u64,
    /// How far the wall clock is behind the time that expiry is judged by.
    pub(crate) clock_behind_ms: u64,
    /// When licences end that end soon, or have ended: labels, and seconds since 1970.
    pub(crate) licences: Vec<(String, i64)>,
    /// `None`: this node has no ledger, since it takes no callers.
    pub(crate) ledger: Option<Status>,
    /// Likewise.
    pub(crate) limits: Option<limits::Status>,
    /// Likewise: what became of captchas' responses.
    pub(crate) captchas: Option<[u64; captcha::OUTCOMES.len()]>,
    /// The addresses of upstreams.
    pub(crate) upstreams: Vec<UpstreamState>,
}

struct Page(String);

impl Page {
    /// One family: its help, its type, and a sample for each set of labels.
    fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (impl Display, V)>,
    ) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP doorward_{name} {help}\n# TYPE doorward_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "doorward_{name}{labels} {value}");
        }
    }
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help, [("", value)]);
    }
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help, [("", value)]);
    }
}

/// Seconds of microseconds, exactly: 2500 is `0.0025`.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Everything there is to scrape.
pub(crate) fn render(about: &About, s: &Snapshot, g: &Gauges) -> String {
    let mut page = Page(String::new());
    page.family("node_info", "gauge", "This node.", [(&about.0, 1)]);
    page.gauge("ready", "Whether requests are welcome.", u8::from(g.ready));
    page.gauge("credentials", "Credentials in memory.", g.credentials);
    page.gauge("directory_seq", "The last change of the store that is obeyed.", g.seq);
    // No sample before there is an age to tell.
    let age = g.age_ms.map(|ms| ("", seconds(ms.saturating_mul(1000))));
    page.family("directory_age_seconds", "gauge", "Since the store last said that nothing is missing.", age);
    page.gauge("store_up", "Whether the store answered when it was last asked.", u8::from(g.store_up));
    page.counter("store_outages_total", "How often the store has stopped answering.", g.store_outages);
    page.counter("clock_jumps_total", "How often the wall clock was set, forward or back.", g.clock_jumps);
    let behind = seconds(g.clock_behind_ms.saturating_mul(1000));
    let help = "How far the wall clock is behind the time that expiry is judged by.";
    page.gauge("clock_behind_seconds", help, behind);
    if let Some(ledger) = &g.ledger {
        once_only(&mut page, ledger);
    }
    if let Some(limits) = &g.limits {
        spent(&mut page, limits);
    }
    if let Some(counts) = &g.captchas {
        let all =
            captcha::OUTCOMES.iter().zip(counts).map(|(name, n)| (format!("{{outcome=\"{name}\"}}"), n));
        page.family("captchas_total", "counter", "Captchas that were checked, by what came of it.", all);
    }
    let help = "When licences end that end soon, or have ended, in seconds since 1970.";
    page.family("licence_until_seconds", "gauge", help, g.licences.iter().map(|(labels, at)| (labels, at)));
    let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
    let of_class = classes.iter().zip(s.classes).map(|(c, n)| (format!("{{class=\"{c}\"}}"), n));
    page.family("requests_total", "counter", "Requests by the class of the answer's status.", of_class);
    page.counter("permits_total", "Requests that were not refused.", s.permits);
    let of_reason = s.denials.iter().map(|(reason, n)| (format!("{{code=\"{}\"}}", reason.code()), *n));
    page.family("denials_total", "counter", "Refused requests by their code.", of_reason);
    let of_rule =
        Rule::ALL.iter().zip(s.would_refuse).map(|(r, n)| (format!("{{rule=\"{}\"}}", r.name()), n));
    let help = "Requests let through that a rule would have refused, were it enforced.";
    page.family("would_refuse_total", "counter", help, of_rule);
    latency(&mut page, s);
    page.counter("exposed_total", "Credentials proved over plain HTTP.", s.exposed);
    page.counter("weak_total", "Requests proved by an id alone.", s.weak);
    page.counter("connections_total", "Connections taken from callers.", s.connections);
    page.gauge("connections_open", "Connections from callers at this moment.", s.open_connections);
    page.counter("connections_refused_total", "Connections turned away: too many.", s.overloaded);
    let help = "How long a task waits for its turn on the busiest core.";
    page.gauge("queue_seconds", help, seconds(s.queue_us));
    page.gauge("shedding_cores", "Cores that turn requests away: their queue is long.", s.shedding_cores);
    let floods = s.floods.iter().map(|(what, n)| (format!("{{kind=\"{what}\"}}"), *n));
    let help = "HTTP/2 connections ended for sending too much of what brings nothing, by what that was.";
    page.family("http2_floods_total", "counter", help, floods);
    let help = "Requests over HTTP/2 refused unread: more at a time than a connection may have.";
    page.counter("http2_refused_streams_total", help, s.refused_streams);
    let help = "The room taken by bodies of signed requests that wait for their proof.";
    page.gauge("signed_bodies_bytes", help, s.waiting_body_bytes);
    page.counter("upstream_connections_total", "Connections made to upstreams.", s.upstream_connections);
    upstreams(&mut page, &g.upstreams);
    page.counter("events_lost_total", "Events that could not be written.", s.lost_events);
    // Every part refuses what it can't check: there is no place to count at.
    let help = "Requests let through because an enforced check could not be made: no part does so.";
    page.counter("failopen_total", help, 0);
    page.0
}

fn upstreams(page: &mut Page, all: &[UpstreamState]) {
    // Addresses are letters, digits and a few signs: nothing to escape.
    let each = |value: fn(&UpstreamState) -> u64| {
        all.iter().map(move |u| (format!("{{upstream=\"{}\"}}", u.name), value(u)))
    };
    let help = "Whether an address is chosen as others are: it does not rest, and its probe is answered.";
    page.family("upstream_up", "gauge", help, each(|u| u64::from(u.up)));
    page.family("upstream_in_flight", "gauge", "Requests on their way to an address.", each(|u| u.in_flight));
    page.family("upstream_requests_total", "counter", "Requests for an address.", each(|u| u.requests));
    let help = "Connections that could not be made, and answers that were cut short.";
    page.family("upstream_failures_total", "counter", help, each(|u| u.failures));
}

fn once_only(page: &mut Page, ledger: &Status) {
    page.gauge("ledger_up", "Whether requests that are accepted only once can be.", u8::from(ledger.up));
    page.gauge("ledger_entries", "Requests that the ledger remembers.", ledger.entries);
    let fence = ledger.fence.map(|fence| ("", seconds(fence.0.unsigned_abs().saturating_mul(1000))));
    let help = "Requests that are dated earlier are refused, in seconds since 1970; ahead of the time only after a loss.";
    page.family("ledger_fence_until_seconds", "gauge", help, fence);
    let claims = OUTCOMES.iter().zip(ledger.claims).map(|(name, n)| (format!("{{outcome=\"{name}\"}}"), n));
    page.family("ledger_claims_total", "counter", "What the ledger was asked, by what it said.", claims);
}

fn spent(page: &mut Page, s: &limits::Status) {
    let help = "Whether limits are counted for all nodes together.";
    page.gauge("limits_up", help, u8::from(s.up));
    page.gauge("limits_sharers", "Nodes that take callers, as far as this one knows.", s.sharers);
    page.gauge("limits_entries", "Limits of which something is spent, in this node's memory.", s.entries);
    let all = limits::OUTCOMES.iter().zip(s.spent).map(|(name, n)| (format!("{{outcome=\"{name}\"}}"), n));
    page.family("limits_spent_total", "counter", "Requests under limits, by whether all had room.", all);
    let help = "Requests that counted by this node's share of a limit alone.";
    page.counter("limits_degraded_total", help, s.degraded);
    let help = "Those of them that the Redis server could not count, though it counts others.";
    page.counter("limits_failed_total", help, s.failed);
    let help = "Requests from addresses that were too many to be told apart.";
    page.counter("limits_crowded_total", help, s.crowded);
}

fn latency(page: &mut Page, s: &Snapshot) {
    let name = "request_duration_seconds";
    let bounds = LATENCY_BOUNDS_US.iter().map(|us| seconds(*us)).chain(["+Inf".to_owned()]);
    let mut so_far = 0;
    let buckets: Vec<_> = bounds
        .zip(s.latency)
        .map(|(bound, n)| {
            so_far += n;
            (format!("_bucket{{le=\"{bound}\"}}"), so_far.to_string())
        })
        .collect();
    let sums = [("_sum".to_owned(), seconds(s.latency_us)), ("_count".to_owned(), so_far.to_string())];
    let help = "From the first byte of a request to the last of its answer.";
    page.family(name, "histogram", help, buckets.into_iter().chain(sums));
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::reason::Reason;

    #[test]
    fn a_scrape_reads_as_prometheus_text() {
        let mut s = Snapshot { permits: 3, latency_us: 2_600, ..Snapshot::default() };
        s.classes[2] = 3;
        s.denials = Reason::ALL.iter().map(|r| (*r, 0)).collect();
        s.latency[0] = 1;
        s.latency[3] = 2;
        let fence = Some(doorward_core::time::UnixMillis(1_800_000_000_500));
        let ledger = Status { up: true, entries: 9, fence, claims: [1, 2, 0, 0, 0, 0, 0, 0, 3] };
        let gauges = Gauges {
            ready: true,
            credentials: 7,
            seq: 12,
            age_ms: Some(1_230),
            store_up: true,
            store_outages: 2,
            clock_jumps: 4,
            clock_behind_ms: 3_600_000,
            licences: vec![("{licence=\"p\"}".to_owned(), 1_800_000_000)],
            ledger: Some(ledger),
            limits: Some(limits::Status {
                up: false,
                entries: 11,
                spent: [5, 2],
                degraded: 6,
                failed: 2,
                crowded: 1,
                sharers: 3,
            }),
            captchas: Some([4, 3, 2]),
            upstreams: vec![UpstreamState {
                name: "http://u:1".to_owned(),
                up: false,
                in_flight: 2,
                requests: 9,
                failures: 3,
            }],
        };
        let about = About("{name=\"edge-1\"}".to_owned());
        let text = render(&about, &s, &gauges);
        for line in [
            "# TYPE doorward_request_duration_seconds histogram",
            "doorward_request_duration_seconds_bucket{le=\"0.0001\"} 1",
            "doorward_request_duration_seconds_bucket{le=\"0.001\"} 3",
            "doorward_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "doorward_request_duration_seconds_sum 0.0026",
            "doorward_request_duration_seconds_count 3",
            "doorward_requests_total{class=\"2xx\"} 3",
            "doorward_denials_total{code=\"credential_invalid\"} 0",
            "doorward_failopen_total 0",
            "doorward_ready 1",
            "doorward_node_info{name=\"edge-1\"} 1",
            "doorward_credentials 7",
            "doorward_directory_seq 12",
            "doorward_directory_age_seconds 1.23",
            "doorward_store_up 1",
            "doorward_store_outages_total 2",
            "doorward_clock_jumps_total 4",
            "doorward_clock_behind_seconds 3600",
            "doorward_licence_until_seconds{licence=\"p\"} 1800000000",
            "doorward_would_refuse_total{rule=\"scope\"} 0",
            "doorward_ledger_up 1",
            "doorward_limits_up 0",
            "doorward_limits_sharers 3",
            "doorward_limits_spent_total{outcome=\"no_room\"} 2",
            "doorward_limits_degraded_total 6",
            "doorward_limits_failed_total 2",
            "doorward_captchas_total{outcome=\"unavailable\"} 2",
            "doorward_upstream_up{upstream=\"http://u:1\"} 0",
            "doorward_upstream_in_flight{upstream=\"http://u:1\"} 2",
            "doorward_upstream_requests_total{upstream=\"http://u:1\"} 9",
            "doorward_upstream_failures_total{upstream=\"http://u:1\"} 3",
            "doorward_ledger_entries 9",
            "doorward_ledger_fence_until_seconds 1800000000.5",
            "doorward_ledger_claims_total{outcome=\"replayed\"} 2",
            "doorward_ledger_claims_total{outcome=\"unavailable\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        // Every sample has a name, perhaps labels, and a number; no family is there twice.
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("doorward_") && value.parse::<f64>().is_ok(), "{line}");
        }
        let mut types: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let before = types.len();
        types.dedup();
        assert_eq!(types.len(), before);
        let unread = render(&about, &s, &Gauges { age_ms: None, ledger: None, ..gauges });
        assert!(!unread.contains("\ndoorward_directory_age_seconds"), "nothing was read yet");
        assert!(!unread.contains("doorward_ledger"), "a node without callers has no ledger");
    }
}
