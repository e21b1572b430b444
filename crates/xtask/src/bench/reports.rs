//! What the load tools say of a run.

use crate::Outcome;

/// The fixed rate counts as kept from this share on.
const RATE_KEPT: f64 = 0.97;

/// What a load tool saw.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// What a run at a fixed rate must come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) requests: u64,
    /// A second; as fast as it goes where a debugger slows everything down.
    pub(super) rate: Option<u64>,
}

/// Reads the report of `wrk --latency`.
pub(super) fn read_wrk(text: &str) -> Outcome<Seen> {
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

/// Reads h2load's log, of so many requests where they are counted: start in microseconds, status, microseconds until the response had ended.
pub(super) fn read_h2load(text: &str, wanted: Option<Wanted>) -> Outcome<Seen> {
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
    let requests = latencies.len() as u64;
    if requests == 0 || wanted.is_some_and(|wanted| wanted.requests != requests) {
        let of = wanted.map(|wanted| format!(" of {}", wanted.requests)).unwrap_or_default();
        return Err(format!("{requests}{of} requests were answered"));
    }
    latencies.sort_unstable();
    let seconds = (last - first) as f64 / 1_000_000.0;
    let least = wanted.and_then(|wanted| wanted.rate).map_or(0.0, |rate| rate as f64 * RATE_KEPT);
    if requests as f64 / seconds < least {
        return Err(format!("the rate was not kept: {requests} requests took {seconds:.2} s"));
    }
    let percentile = |p: usize| latencies[(latencies.len() * p).div_ceil(100).saturating_sub(1)] as f64;
    Ok(Seen { requests, seconds, p50_us: percentile(50), p99_us: percentile(99) })
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
        assert!(read_h2load("1000\t401\t50\n", None).is_err());
        assert!(read_h2load("1000\t-1\t50\n", None).is_err());
        assert!(read_h2load("", None).is_err());
        assert!(read_h2load("1000\t200\t50\n", Some(Wanted { requests: 2, rate: None })).is_err());
    }

    #[test]
    fn percentiles_and_rate_come_from_the_log() {
        // 100 requests, one each 250 us, taking 1 to 100 us.
        let log: String = (0..100).map(|i| format!("{}\t200\t{}\n", i * 250, i + 1)).collect();
        let wanted = Wanted { requests: 100, rate: Some(4_000) };
        let seen = read_h2load(&log, Some(wanted)).unwrap();
        assert_eq!((seen.p50_us, seen.p99_us), (50.0, 99.0));
        let slow: String = (0..100).map(|i| format!("{}\t200\t{}\n", i * 300, i + 1)).collect();
        assert!(read_h2load(&slow, Some(wanted)).is_err_and(|why| why.contains("rate")));
        assert!(read_h2load(&slow, Some(Wanted { rate: None, ..wanted })).is_ok());
    }
}
