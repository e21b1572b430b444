//! Whom a node takes for the caller.
use super::*;
use crate::wire;
use doorward_core::network::{Network, Networks};

fn networks(texts: &[&str]) -> Networks {
    Networks::new(texts.iter().map(|text| Network::parse(text).unwrap()))
}

fn behind(socket: &str, header: TrustedHeader, lines: &[&str]) -> Option<(String, bool)> {
    over(socket, header, lines, false)
}

fn over(socket: &str, header: TrustedHeader, lines: &[&str], tls: bool) -> Option<(String, bool)> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let raw = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut head = wire::Head::default();
    wire::request(raw.as_bytes(), &wire::Limits::default(), &mut head).unwrap();
    let at = Connected { socket: socket.parse().unwrap(), tls, plain_http: PlainHttp::Refuse };
    let trusted = Trusted { networks: networks(&["10.0.0.0/8", "::1"]), header };
    let peer = Peer::behind(at, &trusted, raw.as_bytes(), &head.fields)?;
    assert_eq!(peer.client.map(|ip| ip.to_string()).unwrap_or_default(), peer.text);
    assert_eq!(peer.proxy, Some(at.socket));
    Some((peer.text, peer.transport == Transport::Secure))
}

/// SXFF-1, SXFF-2, SXFF-3: the rightmost hop that is not ours, over all lines; whatever is no address is nobody.
#[test]
fn the_caller_is_the_rightmost_hop_that_is_not_ours() {
    let xff = |lines: &[&str]| behind("10.0.0.1", TrustedHeader::XForwardedFor, lines).unwrap().0;
    for (lines, want) in [
        (&["X-Forwarded-For: 1.2.3.4"][..], "1.2.3.4"),
        (&["X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1"], "1.2.3.4"),
        (&["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 1.2.3.4", "X-FORWARDED-FOR: 10.1.1.1"], "1.2.3.4"),
        (&["X-Forwarded-For: 1.2.3.4:5678"], "1.2.3.4"),
        (&["X-Forwarded-For: [2001:db8::1]:443"], "2001:db8::1"),
        (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
        (&["X-Forwarded-For: ::ffff:1.2.3.4"], "1.2.3.4"),
        (&["X-Forwarded-For: 1.2.3.4, unknown"], ""),
        (&["X-Forwarded-For: 1.2.3.4, 010.0.0.1"], ""),
        (&["X-Forwarded-For: 1.2.3.4, 0x0a000001"], ""),
        (&["X-Forwarded-For: 1.2.3.4, fe80::1%eth0"], ""),
        (&["X-Forwarded-For: 1.2.3.4, ::6.6.6.6"], ""),
        (&["X-Forwarded-For: 1.2.3.4, [6.6.6.6]"], ""),
        (&["X-Forwarded-For: 1.2.3.4, [::1"], ""),
        (&["X-Forwarded-For: 1.2.3.4, [2001:db8::1]x"], ""),
        (&["X-Forwarded-For: 1.2.3.4, 6.6.6.6:"], ""),
        (&["X-Forwarded-For: 1.2.3.4, 6.6.6.6:port"], ""),
        (&["X-Forwarded-For: 1.2.3.4, 6.6.6.6/32"], ""),
        (&["X-Forwarded-For: 1.2.3.4, \"6.6.6.6\""], ""),
        (&["X-Forwarded-For: 1.2.3.4, _hidden"], ""),
        (&["X-Forwarded-For: 1.2.3.4, unix:"], ""),
        (&["X-Forwarded-For: 1.2.3.4 6.6.6.6"], ""),
        // Whoever wrote an empty element did not tell; what stands before it is the caller's own.
        (&["X-Forwarded-For: 1.2.3.4,"], ""),
        (&["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For:"], ""),
        (&["X-Forwarded-For: 1.2.3.4, , 10.1.1.1"], ""),
        (&["X-Forwarded-For: , 1.2.3.4"], "1.2.3.4"),
        // What carries an IPv4 address is not that address.
        (&["X-Forwarded-For: 2002:a00:1::"], "2002:a00:1::"),
        (&["X-Forwarded-For: 1.2.3.4, ::ffff:10.1.1.1"], "1.2.3.4"),
        // Fields that only look alike are not the one that proxies write.
        (&["X_Forwarded_For: 1.2.3.4"], ""),
        (&["X-ForwardedFor: 1.2.3.4"], ""),
        (&["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], ""),
        (&["X-Real-IP: 1.2.3.4", "Forwarded: for=1.2.3.4"], ""),
        (&[], ""),
    ] {
        let lines = if lines.is_empty() { &["A: b"][..] } else { lines };
        assert_eq!(xff(lines), want, "{lines:?}");
    }
    assert_eq!(behind("11.0.0.1", TrustedHeader::XForwardedFor, &["X-Forwarded-For: 1.2.3.4"]), None);
    let fwd = |line: &str| behind("10.0.0.1", TrustedHeader::Forwarded, &[line]).unwrap();
    assert_eq!(
        fwd("Forwarded: for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https, for=10.0.0.2;proto=https"),
        ("2001:db8::1".into(), true)
    );
    // What the caller wrote itself counts for nothing, and one of ours that is silent does not help.
    assert_eq!(fwd("Forwarded: for=6.6.6.6;proto=https, for=9.9.9.9"), ("9.9.9.9".into(), false));
    assert_eq!(fwd("Forwarded: for=9.9.9.9;proto=https, for=10.0.0.2"), ("9.9.9.9".into(), false));
    assert_eq!(fwd("Forwarded: for=1.2.3.4, for=_hidden"), (String::new(), false));
    assert_eq!(fwd("Forwarded: for=1.2.3.4;for=5.6.7.8;proto=http"), (String::new(), false));
    assert_eq!(fwd("X-Forwarded-For: 1.2.3.4"), (String::new(), false));
    // Half of a quoted value is no element, and nothing of it is taken.
    for spoofed in [
        "for=9.9.9.9;host=\"a, for=6.6.6.6;x=\"",
        "for=9.9.9.9;host=\"a, for=6.6.6.6\"",
        "for=9.9.9.9;host=\"a, for=6.6.6.6;x=\"\\\"\"",
        "for=9.9.9.9;host=\"a;for=6.6.6.6",
        "for=\"6.6.6.6",
        "for=6.6.6.6\"",
        "for=\"6.6.6.6\\\"",
        "for = 6.6.6.6",
        "for=6.6.6.6;",
        "for=6.6.6.6;proto",
        "for=6.6.6.6;=x",
        "for=\"192.0.2.7:_port\"",
        "by=6.6.6.6",
        "for=",
        "",
    ] {
        assert_eq!(fwd(&format!("Forwarded: for=1.2.3.4, {spoofed}")).0, "", "{spoofed}");
    }
    assert_eq!(fwd("Forwarded: for=6.6.6.6;x=\", for=9.9.9.9").0, "9.9.9.9");
    assert_eq!(fwd("Forwarded: for=9.9.9.9; proto=https ;by=10.0.0.1"), ("9.9.9.9".into(), true));
}

#[test]
fn https_counts_only_where_every_value_says_so() {
    let secure = |lines: &[&str]| behind("10.0.0.1", TrustedHeader::XForwardedFor, lines).unwrap().1;
    assert!(secure(&["X-Forwarded-Proto: https"]) && secure(&["X-Forwarded-Proto: HTTPS, https"]));
    assert!(
        !secure(&["X-Forwarded-Proto: http"])
            && !secure(&["X-Forwarded-Proto: https, http"])
            && !secure(&["A: b"])
    );
    assert!(!secure(&["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"]));
    // Over our own TLS, a proxy that says how the caller came is believed; a silent one leaves it at ours.
    let over_tls = |lines: &[&str]| over("10.0.0.1", TrustedHeader::XForwardedFor, lines, true).unwrap().1;
    assert!(
        over_tls(&["A: b"])
            && over_tls(&["X-Forwarded-Proto: https"])
            && !over_tls(&["X-Forwarded-Proto: http"])
    );
}

/// Case 13: {peer trusted or not} x {lines that the caller sent} x {where an allowed address is put into them} x {how the
/// proxies add theirs}: nobody is let in by what it wrote itself, and nobody is kept out by it.
#[test]
fn what_a_caller_writes_itself_never_lets_it_in() {
    let allowed = networks(&["192.0.2.0/24"]);
    // Where the lists of one, two or three lines have the spoofed address, and what else they have.
    let fillers = ["198.51.100.1", "10.9.9.9", "unknown", "", "::1"];
    let mut sent: Vec<Vec<String>> = vec![vec![]];
    for lines in 1..=3 {
        for spoofed in 0..3 * lines {
            for filler in fillers {
                let element = |at: usize| if at == spoofed { "192.0.2.7" } else { filler };
                let line = |n: usize| [0, 1, 2].map(|k| element(3 * n + k)).join(", ");
                sent.push((0..lines).map(line).collect());
            }
        }
    }
    let (mut wrong_allows, mut wrong_denials, mut allows, mut denials) = (0, 0, 0, 0);
    for header in [TrustedHeader::XForwardedFor, TrustedHeader::Forwarded] {
        let element = |of: &str| match header {
            TrustedHeader::XForwardedFor => of.to_owned(),
            TrustedHeader::Forwarded => format!("for=\"{of}\""),
        };
        let name = match header {
            TrustedHeader::XForwardedFor => "X-Forwarded-For",
            TrustedHeader::Forwarded => "Forwarded",
        };
        for (caller, lines, proxies, own_line) in sent.iter().flat_map(|lines| {
            let callers = ["203.0.113.66", "192.0.2.66", "::ffff:192.0.2.66", "2002:c000:242::1"];
            callers.into_iter().flat_map(move |caller| {
                (0..3).flat_map(move |proxies| [false, true].map(|own| (caller, lines, proxies, own)))
            })
        }) {
            let mut lines: Vec<String> =
                lines.iter().map(|l| l.split(", ").map(element).collect::<Vec<_>>().join(", ")).collect();
            // Each proxy adds whom it was called by.
            let mut before = caller;
            for proxy in &["10.0.0.2", "10.0.0.1"][..proxies] {
                match lines.last_mut().filter(|_| !own_line) {
                    Some(line) => line.push_str(&format!(", {}", element(before))),
                    None => lines.push(element(before)),
                }
                before = proxy;
            }
            let lines: Vec<String> = lines.into_iter().map(|l| format!("{name}: {l}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let told = behind(before, header, &lines).map_or(before.to_owned(), |(text, _)| text);
            let (got, want) =
                (told.parse().is_ok_and(|ip| allowed.contains(ip)), caller.ends_with("192.0.2.66"));
            wrong_allows += usize::from(got && !want);
            wrong_denials += usize::from(!got && want);
            *(if want { &mut allows } else { &mut denials }) += 1;
        }
    }
    assert_eq!((wrong_allows, wrong_denials), (0, 0));
    assert_eq!((allows, denials), (2 * 2 * 6 * 91, 2 * 2 * 6 * 91));
}
