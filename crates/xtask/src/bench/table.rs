//! The result: a row per peer and load, medians with the range of ratios.

use super::load::Load;
use super::{Calls, Sample};

/// What the others are held against, each in a column of its own.
const REFERENCES: [&str; 4] = ["nginx-plain", "nginx-key", "haproxy-jwt", "envoy-jwt"];

/// Who is held against whom besides, in a line below the table.
const PAIRS: [(&str, &str); 2] = [("doorward-key", "envoy-key"), ("doorward-rules", "doorward-key")];

const HEAD: [&str; 12] = [
    "peer",
    "requests/s",
    "CPU us",
    "of nginx-plain",
    "of nginx-key",
    "of haproxy-jwt",
    "of envoy-jwt",
    "p50 ms",
    "p99 ms",
    "MiB",
    "calls",
    "tool us",
];

/// What stands where there is no figure.
const NONE: &str = "-";

type Row = [String; HEAD.len()];

/// Renders a table for each load, for the terminal or for Markdown.
pub(super) fn render(samples: &[Sample], calls: &[Calls], markdown: bool) -> String {
    let mut tables = Vec::new();
    for (title, loads) in Load::GROUPS {
        for load in loads.iter().copied() {
            let mut peers: Vec<&str> = samples.iter().filter(|s| s.load == load).map(|s| s.peer).collect();
            peers.sort_unstable();
            peers.dedup();
            let rows: Vec<Row> = peers.into_iter().map(|peer| row(samples, calls, load, peer)).collect();
            if rows.is_empty() {
                continue;
            }
            let mark = if markdown { "**" } else { "" };
            let mut text = format!("{mark}{title}: {}{mark}\n\n{}", load.name(), table(&rows, markdown));
            let pairs: Vec<String> = PAIRS.iter().filter_map(|pair| compared(samples, load, pair)).collect();
            if !pairs.is_empty() {
                text += &format!("\n{}\n", pairs.join("; "));
            }
            tables.push(text);
        }
    }
    tables.join("\n")
}

/// One peer held against another, if both were measured.
fn compared(samples: &[Sample], load: Load, (peer, reference): &(&str, &str)) -> Option<String> {
    let ratio = range(ratios(samples, load, peer, reference));
    (ratio != NONE).then(|| format!("{peer}: {ratio} of {reference}"))
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
        // Names to the left, figures to the right.
        let cells = columns.iter().map(|&column| {
            let (cell, width) = (&row[column], width(column));
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let cells: Vec<String> = cells.collect();
        if markdown {
            text += &format!("| {} |\n", cells.join(" | "));
            if number == 0 {
                let rule = columns.iter().map(|column| if *column == 0 { "---" } else { "---:" });
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
    let [plain, key, jwt, envoy_jwt] = REFERENCES.map(|reference| {
        // It is what it is: a range would only hide the others.
        if reference == peer { "1".to_owned() } else { range(ratios(samples, load, peer, reference)) }
    });
    let calls = calls.iter().find(|calls| calls.load == load && calls.peer == peer);
    [
        peer.to_owned(),
        format!("{:.0}", middle(|s| s.requests_per_s)),
        format!("{:.1}", middle(|s| s.cpu_us)),
        plain,
        key,
        jwt,
        envoy_jwt,
        format!("{:.2}", middle(|s| s.p50_us) / 1_000.0),
        format!("{:.2}", middle(|s| s.p99_us) / 1_000.0),
        format!("{:.1}", middle(|s| s.memory_kib as f64) / 1_024.0),
        calls.map_or(NONE.to_owned(), |calls| format!("{:.1}", calls.per_request)),
        format!("{:.1}", middle(|s| s.tool_cpu_us)),
    ]
}

/// CPU of a peer by that of another, in each round that has both.
fn ratios(samples: &[Sample], load: Load, peer: &str, reference: &str) -> Vec<f64> {
    let of = |name| samples.iter().filter(move |s| s.load == load && s.peer == name);
    of(peer)
        .filter_map(|own| Some(own.cpu_us / of(reference).find(|r| r.round == own.round)?.cpu_us))
        .collect()
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
        assert_eq!(row[2..5], ["18.0", "0.80 [0.50-0.90]", NONE]);
        assert_eq!(row[7..11], ["1.50", "2.50", "2.0", "4.2"]);
        assert_eq!(super::row(&samples, &calls, Load::Saturation, "nginx-plain")[3], "1");
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
        assert_eq!((keys, tls), ("**Keys: saturation**", "**HTTP/2 and TLS: TLS**"));
        let rule = first.lines().nth(1).unwrap();
        assert!(rule.starts_with("| --- | ---: | ---: |") && rule.matches('|').count() == 9, "{first}");
        assert!(first.contains("of nginx-plain") && !second.contains("of nginx-plain"));
        assert!(!render(&[], &[], false).contains("Keys"));
    }

    #[test]
    fn pairs_stand_below_the_table_of_a_load_that_has_both() {
        let samples = [sample("doorward-key", 1, 10.0), sample("doorward-rules", 1, 11.0)];
        let text = render(&samples, &[], false);
        assert!(text.ends_with("\n\ndoorward-rules: 1.10 [1.10-1.10] of doorward-key\n"), "{text}");
        assert!(!render(&samples[..1], &[], false).contains(" of "));
    }
}
