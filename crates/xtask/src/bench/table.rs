//! The result: a row per peer and load, medians with the range of ratios.

use super::Sample;
use super::load::Load;

/// What the others are held against.
const REFERENCES: [&str; 4] = ["nginx-plain", "nginx-key", "haproxy-jwt", "doorward-key"];

const HEAD: [&str; 12] = [
    "load",
    "peer",
    "requests/s",
    "CPU us/request",
    "of nginx-plain",
    "of nginx-key",
    "of haproxy-jwt",
    "of doorward-key",
    "p50 ms",
    "p99 ms",
    "memory MiB",
    "load tool us/request",
];

/// Renders a table for the terminal, or for Markdown.
pub(super) fn render(samples: &[Sample], markdown: bool) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for load in Load::ALL {
        let mut peers: Vec<&str> = samples.iter().filter(|s| s.load == load).map(|s| s.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        rows.extend(peers.into_iter().map(|peer| row(samples, load, peer)));
    }
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|i| rows.iter().map(|row| row[i].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        // Words to the left, figures to the right.
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let cells: Vec<String> = cells.collect();
        if markdown {
            text += &format!("| {} |\n", cells.join(" | "));
            if number == 0 {
                let rule = (0..HEAD.len()).map(|column| if column < 2 { "---" } else { "---:" });
                text += &format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
            }
        } else {
            text += &format!("{}\n", cells.join("  ").trim_end());
        }
    }
    text
}

fn row(samples: &[Sample], load: Load, peer: &str) -> [String; 12] {
    let own: Vec<&Sample> = samples.iter().filter(|s| s.load == load && s.peer == peer).collect();
    let middle = |value: fn(&Sample) -> f64| median(own.iter().map(|s| value(s)).collect());
    let [plain, key, jwt, own_key] = REFERENCES.map(|reference| {
        let ratio = |s: &&Sample| {
            let same =
                samples.iter().find(|r| r.peer == reference && r.load == load && r.round == s.round)?;
            Some(s.cpu_us / same.cpu_us)
        };
        range(own.iter().filter_map(ratio).collect())
    });
    [
        load.name().to_owned(),
        peer.to_owned(),
        format!("{:.0}", middle(|s| s.requests_per_s)),
        format!("{:.1}", middle(|s| s.cpu_us)),
        plain,
        key,
        jwt,
        own_key,
        format!("{:.2}", middle(|s| s.p50_us) / 1_000.0),
        format!("{:.2}", middle(|s| s.p99_us) / 1_000.0),
        format!("{:.1}", middle(|s| s.memory_kib as f64) / 1_024.0),
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
        return "-".to_owned();
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
        let row = row(&samples, Load::Saturation, "doorward-key");
        assert_eq!(row[3], "18.0");
        assert_eq!(row[4], "0.80 [0.50-0.90]");
        assert_eq!(&row[8..11], ["1.50", "2.50", "2.0"]);
    }

    #[test]
    fn a_median_lies_between_an_even_number() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
    }

    #[test]
    fn markdown_has_a_rule_below_its_head() {
        let text = render(&[sample("nginx-plain", 1, 10.0)], true);
        let rule = text.lines().nth(1).unwrap();
        assert!(rule.starts_with("| --- | --- | ---: |") && rule.matches('|').count() == HEAD.len() + 1);
    }
}
