//! Load: as much as a peer bears (wrk) and a fixed rate (h2load), over the same connections and headers.

use super::peers::Peer;
use super::signed;
use super::tokens;
use crate::Outcome;
use crate::cargo::output;
use std::process::Command;

/// Connections to the peer, each with one request at a time.
pub(super) const CONNECTIONS: u64 = 64;

/// The fixed rate, requests a second over all connections.
const FIXED_RATE: u64 = 4_000;

/// The fixed rate counts as kept from this share on.
const RATE_KEPT: f64 = 0.97;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Saturation,
    /// A fixed rate as h2load gives it: all connections ask at the same moment, and again one period later.
    Fixed,
    /// The same rate, one request after the other.
    Even,
    /// As much as a peer bears of signed requests, each different.
    SignedGet,
    /// The same with a body of 4 KiB.
    SignedPost,
    /// As much as a peer bears of requests with one access token.
    Token,
    /// The same with tokens that the peer has not seen, or has forgotten.
    NewToken,
}

/// What a load tool saw.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Load {
    pub(super) const ALL: [Load; 7] = [
        Load::Saturation,
        Load::Fixed,
        Load::Even,
        Load::SignedGet,
        Load::SignedPost,
        Load::Token,
        Load::NewToken,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Load::Saturation => "saturation",
            Load::Fixed => "4,000/s",
            Load::Even => "4,000/s even",
            Load::SignedGet => "signed GET",
            Load::SignedPost => "signed POST",
            Load::Token => "token",
            Load::NewToken => "new token",
        }
    }

    /// Loads a peer for so long. Any answer but 200 and any error of a connection fails the run.
    pub(super) fn apply(self, peer: &Peer, seconds: u64) -> Outcome<Seen> {
        match self {
            Load::Saturation => {
                let mut wrk = Command::new("wrk");
                wrk.args(["-t2", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency"]);
                wrk.args(peer.headers().flat_map(|header| ["-H".to_owned(), header])).arg(peer.url());
                read_wrk(&output(wrk)?)
            }
            Load::SignedGet | Load::SignedPost => {
                let post = self == Load::SignedPost;
                let script = signed::write(peer.folder(), peer.signer(), post, seconds)?;
                let mut wrk = Command::new("wrk");
                wrk.args([&format!("-t{}", signed::THREADS), &format!("-c{CONNECTIONS}")]);
                wrk.args([&format!("-d{seconds}s"), "--latency", "-s"]).arg(script);
                wrk.args(peer.common_headers().flat_map(|header| ["-H".to_owned(), header]));
                wrk.arg(peer.url()).arg("--").arg(peer.folder());
                wrk.arg(if post { signed::BODY_BYTES } else { 0 }.to_string());
                read_wrk(&output(wrk)?)
            }
            Load::Token | Load::NewToken => {
                let all = peer.tokens();
                let (script, list) =
                    tokens::script(peer.folder(), if self == Load::Token { &all[..1] } else { all })?;
                let mut wrk = Command::new("wrk");
                wrk.args(["-t2", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency", "-s"]);
                wrk.arg(script).args(peer.common_headers().flat_map(|header| ["-H".to_owned(), header]));
                wrk.arg(peer.url()).arg("--").arg(list);
                read_wrk(&output(wrk)?)
            }
            Load::Fixed | Load::Even => {
                let log = peer.folder().join("h2load.tsv");
                // h2load appends.
                let _ = std::fs::remove_file(&log);
                let mut h2load = Command::new("h2load");
                h2load.args([
                    "--h1",
                    "-t1",
                    &format!("-c{CONNECTIONS}"),
                    &format!("-n{}", FIXED_RATE * seconds),
                ]);
                h2load.arg(format!("--rps={}", FIXED_RATE as f64 / CONNECTIONS as f64));
                if self == Load::Even {
                    // Connections start one after the other over one period of their own.
                    h2load.args(["--rate=4", "--rate-period=1ms"]);
                }
                h2load.arg(format!("--log-file={}", log.display()));
                h2load.args(peer.headers().flat_map(|header| ["-H".to_owned(), header])).arg(peer.url());
                output(h2load)?;
                let text = std::fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))?;
                read_h2load(&text, FIXED_RATE * seconds)
            }
        }
    }
}

/// Reads the report of `wrk --latency`.
fn read_wrk(text: &str) -> Outcome<Seen> {
    let odd = || format!("can't read what wrk says:\n{text}");
    for line in text.lines().map(str::trim) {
        if line.starts_with("Non-2xx") || line.starts_with("Socket errors") {
            return Err(format!("not every request was answered with 200: {line}"));
        }
    }
    let percentile = |name: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .and_then(|value| micros(value.trim()))
            .ok_or_else(odd)
    };
    // `123456 requests in 5.00s, 20.41MB read`
    let (requests, rest) =
        text.lines().find_map(|line| line.trim().split_once(" requests in ")).ok_or_else(odd)?;
    let duration = rest.split(',').next().and_then(micros).ok_or_else(odd)?;
    Ok(Seen {
        requests: requests.parse().ok().filter(|n| *n > 0).ok_or_else(odd)?,
        seconds: duration / 1_000_000.0,
        p50_us: percentile("50%")?,
        p99_us: percentile("99%")?,
    })
}

/// Reads a duration of wrk, such as `1.25ms`.
fn micros(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[at..] {
        "us" => 1.0,
        "ms" => 1_000.0,
        "s" => 1_000_000.0,
        "m" => 60_000_000.0,
        _ => return None,
    };
    Some(text[..at].parse::<f64>().ok()? * factor)
}

/// Reads h2load's log: start in microseconds, status, microseconds until the response had ended.
fn read_h2load(text: &str, expected: u64) -> Outcome<Seen> {
    let mut latencies = Vec::new();
    let (mut first, mut last) = (u64::MAX, 0);
    for line in text.lines() {
        let mut fields = line.split('\t').map(str::parse::<i64>);
        let (Some(Ok(start)), Some(Ok(status)), Some(Ok(took))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("can't read h2load's line {line}"));
        };
        if status != 200 {
            return Err(format!("a request was answered with {status}"));
        }
        let (start, took) = (start.unsigned_abs(), took.unsigned_abs());
        first = first.min(start);
        last = last.max(start + took);
        latencies.push(took);
    }
    if latencies.len() as u64 != expected {
        return Err(format!("{} of {expected} requests were answered", latencies.len()));
    }
    latencies.sort_unstable();
    let seconds = (last - first) as f64 / 1_000_000.0;
    if expected as f64 / seconds < FIXED_RATE as f64 * RATE_KEPT {
        return Err(format!("the rate was not kept: {expected} requests took {seconds:.2} s"));
    }
    let percentile = |p: usize| latencies[(latencies.len() * p).div_ceil(100).saturating_sub(1)] as f64;
    Ok(Seen { requests: expected, seconds, p50_us: percentile(50), p99_us: percentile(99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 4s test\n  Latency Distribution\n     50%    1.25ms\n     75%    2.00ms\n     90%    3.00ms\n     99%  900.00us\n  50000 requests in 4.00s, 20.41MB read\nRequests/sec:  12500.00\n";

    #[test]
    fn a_report_of_wrk_is_read() {
        let seen = Seen { requests: 50_000, seconds: 4.0, p50_us: 1_250.0, p99_us: 900.0 };
        assert_eq!(read_wrk(WRK), Ok(seen));
        assert!(read_wrk("").is_err());
    }

    #[test]
    fn answers_other_than_200_and_broken_connections_fail_a_run() {
        assert!(read_wrk(&format!("{WRK}  Non-2xx or 3xx responses: 1\n")).is_err());
        assert!(read_wrk(&format!("{WRK}  Socket errors: connect 0, read 1, write 0, timeout 0\n")).is_err());
        assert!(read_h2load("1000\t401\t50\n", 1).is_err());
        assert!(read_h2load("1000\t-1\t50\n", 1).is_err());
        assert!(read_h2load("1000\t200\t50\n", 2).is_err());
    }

    #[test]
    fn percentiles_and_rate_come_from_the_log() {
        // 100 requests, one each 250 us, taking 1 to 100 us.
        let log: String = (0..100).map(|i| format!("{}\t200\t{}\n", i * 250, i + 1)).collect();
        let seen = read_h2load(&log, 100).unwrap();
        assert_eq!((seen.p50_us, seen.p99_us), (50.0, 99.0));
        let slow: String = (0..100).map(|i| format!("{}\t200\t{}\n", i * 300, i + 1)).collect();
        assert!(read_h2load(&slow, 100).is_err_and(|why| why.contains("rate")));
    }
}
