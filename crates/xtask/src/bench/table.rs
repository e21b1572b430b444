//! The result: a row per peer and load, medians with the range of ratios.

use super::load::Load;
use super::{Calls, Sample};

/// What the others are held against.
const REFERENCES: [&str; 6] =
    ["nginx-plain", "nginx-key", "envoy-key", "doorward-key", "haproxy-jwt", "envoy-jwt"];

const HEAD: [&str; 15] = [
    "load",
    "peer",
    "requests/s",
    "CPU us/request",
    "of nginx-plain",
    "of nginx-key",
    "of envoy-key",
    "of doorward-key",
    "of haproxy-jwt",
    "of envoy-jwt",
    "p50 ms",
    "p99 ms",
    "memory MiB",
    "system calls/request",
    "load tool us/request",
];

/// What stands where there is no figure.
const NONE: &str = "-";

type Row = [String; HEAD.len()];

/// Renders a table for each group of loads, for the terminal or for Markdown.
pub(super) fn render(samples: &[Sample], calls: &[Calls], markdown: bool) -> String {
    let mut tables = Vec::new();
    for (title, loads) in Load::GROUPS {
        let mut rows = Vec::new();
        for load in loads.iter().copied() {
            let mut peers: Vec<&str> = samples.iter().filter(|s| s.load == load).map(|s| s.peer).collect();
            peers.sort_unstable();
            peers.dedup();
            rows.extend(peers.into_iter().map(|peer| row(samples, calls, load, peer)));
        }
        if !rows.is_empty() {
            tables.push(format!("{title}:\n\n{}", table(&rows, markdown)));
        }
    }
    tables.join("\n")
}

/// One table, without the columns that have no figure.
fn table(rows: &[Row], markdown: bool) -> String {
    let columns: Vec<usize> =
        (0..HEAD.len()).filter(|column| rows.iter().any(|row| row[*column] != NONE)).collect();
    let head = HEAD.map(str::to_owned);
    let all: Vec<&Row> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for (number, row) in all.iter().enumerate() {
        // Words to the left, figures to the right.
        let cells = columns.iter().map(|&column| {
            let (cell, width) = (&row[column], width(column));
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let cells: Vec<String> = cells.collect();
        if markdown {
            text += &format!("| {} |\n", cells.join(" | "));
            if number == 0 {
                let rule = columns.iter().map(|column| if *column < 2 { "---" } else { "---:" });
                text += &format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
            }
        } else {
            text += &format!("{}\n", cells.join("  ").trim_end());
        }
    }
    text
}

fn row(samples: &[Sample], calls: &[Calls], load: Load, peer: &str) -> Row {
    let own: Vec<&Sample> = samples.iter().filter(|s| s.load == load && s.peer == peer).collect();
    let middle = |value: fn(&Sample) -> f64| median(own.iter().map(|s| value(s)).collect());
    let [plain, key, envoy, own_key, jwt, envoy_jwt] = REFERENCES.map(|reference| {
        let ratio = |s: &&Sample| {
            let same =
                samples.iter().find(|r| r.peer == reference && r.load == load && r.round == s.round)?;
            Some(s.cpu_us / same.cpu_us)
        };
        range(own.iter().filter_map(ratio).collect())
    });
    let calls = calls.iter().find(|calls| calls.load == load && calls.peer == peer);
    [
        load.name().to_owned(),
        peer.to_owned(),
        format!("{:.0}", middle(|s| s.requests_per_s)),
        format!("{:.1}", middle(|s| s.cpu_us)),
        plain,
        key,
        envoy,
        own_key,
        jwt,
        envoy_jwt,
        format!("{:.2}", middle(|s| s.p50_us) / 1_000.0),
        format!("{:.2}", middle(|s| s.p99_us) / 1_000.0),
        format!("{:.1}", middle(|s| s.memory_kib as f64) / 1_024.0),
        calls.map_or(NONE.to_owned(), |calls| format!("{:.1}", calls.per_request)),
        format!("{:.1}", middle(|s| s.tool_cpu_us)),
    ]
}

/// The median, between the two in the middle if they are even in number.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Ratios as `median [least-greatest]`.
fn range(ratios: Vec<f64>) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if ratios.is_empty() {
        return NONE.to_owned();
    }
    format!("{:.2} [{least:.2}-{greatest:.2}]", median(ratios))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(peer: &'static str, round: u64, cpu_us: f64) -> Sample {
        Sample {
            peer,
            load: Load::Saturation,
            round,
            requests_per_s: 1_000.0,
            cpu_us,
            tool_cpu_us: 5.0,
            p50_us: 1_500.0,
            p99_us: 2_500.0,
            memory_kib: 2_048,
        }
    }

    #[test]
    fn medians_are_of_ratios_within_a_round() {
        let samples = [
            sample("nginx-plain", 1, 10.0),
            sample("nginx-plain", 2, 20.0),
            sample("nginx-plain", 3, 40.0),
            sample("doorward-key", 1, 8.0),
            sample("doorward-key", 2, 18.0),
            sample("doorward-key", 3, 20.0),
        ];
        let calls = [Calls { peer: "doorward-key", load: Load::Saturation, per_request: 4.25 }];
        let row = row(&samples, &calls, Load::Saturation, "doorward-key");
        assert_eq!(row[3], "18.0");
        assert_eq!(row[4], "0.80 [0.50-0.90]");
        assert_eq!(&row[10..14], ["1.50", "2.50", "2.0", "4.2"]);
    }

    #[test]
    fn a_median_lies_between_an_even_number() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
    }

    #[test]
    fn a_table_has_a_rule_below_its_head_and_no_empty_column() {
        let other = Sample { load: Load::Tls, ..sample("caddy-plain", 1, 10.0) };
        let text = render(&[sample("nginx-plain", 1, 10.0), other], &[], true);
        let tables: Vec<&str> = text.split("\n\n").collect();
        let [keys, first, tls, second] = tables[..] else { panic!("{tables:?}") };
        assert_eq!((keys, tls), ("Keys:", "HTTP/2 and TLS:"));
        let rule = first.lines().nth(1).unwrap();
        assert!(rule.starts_with("| --- | --- | ---: |") && rule.matches('|').count() == 10, "{first}");
        assert!(first.contains("of nginx-plain") && !second.contains("of nginx-plain"));
        assert!(!render(&[], &[], false).contains("Keys"));
    }
}
