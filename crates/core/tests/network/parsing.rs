//! What is read as a network, and what is refused.
use crate::support::{at, net};
use doorward_core::network::{Network, address};

/// SXFF-3, SXFF-4: bits beyond the prefix are masked; IPv4 in IPv6 is IPv4, with its prefix.
#[test]
fn networks_are_read_as_they_are_meant() {
    for (text, want, first, last) in [
        ("192.168.1.2", "192.168.1.2", "192.168.1.2", "192.168.1.2"),
        ("192.168.1.2/32", "192.168.1.2", "192.168.1.2", "192.168.1.2"),
        ("192.168.0.3/24", "192.168.0.0/24", "192.168.0.0", "192.168.0.255"),
        ("10.200.3.4/9", "10.128.0.0/9", "10.128.0.0", "10.255.255.255"),
        ("1.2.3.4/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("255.255.255.255/31", "255.255.255.254/31", "255.255.255.254", "255.255.255.255"),
        ("2001:DB8::7", "2001:db8::7", "2001:db8::7", "2001:db8::7"),
        ("2001:db8::7/128", "2001:db8::7", "2001:db8::7", "2001:db8::7"),
        ("2001:db8:1:2::7/32", "2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::1/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::ffff:192.168.0.3", "192.168.0.3", "192.168.0.3", "192.168.0.3"),
        ("::ffff:c0a8:3", "192.168.0.3", "192.168.0.3", "192.168.0.3"),
        ("::ffff:192.168.0.3/120", "192.168.0.0/24", "192.168.0.0", "192.168.0.255"),
        ("::ffff:0:0/96", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201", "64:ff9b::c000:201", "64:ff9b::c000:201"),
        ("::1", "::1", "::1", "::1"),
    ] {
        let read = net(text);
        assert_eq!(read.to_string(), want, "{text}");
        assert_eq!((read.first(), read.last()), (at(first), at(last)), "{text}");
        // As it is written, it is read again.
        assert_eq!(Network::parse(want), Ok(read));
    }
}

/// Whatever is not plain is refused, with a sentence that says why.
#[test]
fn what_is_not_plain_is_refused_and_told_why() {
    for (text, why) in [
        ("10.0.0.0/33", "longer than its address; IPv4 ends at /32"),
        ("10.0.0.0/256", "longer than its address; IPv4 ends at /32"),
        ("10.0.0.0/999", "longer than its address; IPv4 ends at /32"),
        ("2001:db8::/129", "longer than its address; IPv6 ends at /128"),
        ("::ffff:10.0.0.0/129", "longer than its address; IPv6 ends at /128"),
        ("::ffff:10.0.0.0/95", "as in 10.0.0.0/24"),
        ("::ffff:10.0.0.1/24", "as in 10.0.0.1/24"),
        ("10.0.0.0/", "no length of a prefix"),
        ("10.0.0.0/08", "no length of a prefix"),
        ("10.0.0.0/+8", "no length of a prefix"),
        ("10.0.0.0/-1", "no length of a prefix"),
        ("10.0.0.0/8/8", "no length of a prefix"),
        ("10.0.0.0/ 8", "no length of a prefix"),
        ("10.0.0.0/1000", "no length of a prefix"),
        ("10.0.0.0/0x8", "no length of a prefix"),
        ("10.0.0.0/255.0.0.0", "has a mask"),
        ("010.0.0.1", "begin with 0"),
        ("10.0.0.01", "begin with 0"),
        ("10.00.0.1/8", "begin with 0"),
        ("fe80::1%eth0", "has a zone"),
        ("fe80::1%25eth0/64", "has a zone"),
        ("[2001:db8::1]", "has brackets"),
        ("[2001:db8::1]:443", "has brackets"),
        ("[::1]/128", "has brackets"),
        ("192.0.2.7:443", "has a port"),
        ("192.0.2.7:443/32", "has a port"),
        ("167772161", "four decimal numbers"),
        ("0x0a000001", "four decimal numbers"),
        ("0x0a.0.0.1", "four decimal numbers"),
        (" 10.0.0.1", "white space"),
        ("10.0.0.1\n", "white space"),
        ("10.0.0.1-10.0.0.9", "is a range"),
        ("10.0.0.1-9", "is a range"),
        ("::192.0.2.7", "IPv4-compatible"),
        ("::192.0.2.7/120", "IPv4-compatible"),
        ("", "is not a network"),
        ("/8", "is not a network"),
        ("10.0.0/8", "is not a network"),
        ("10", "four decimal numbers"),
        ("10.0.0.0.0", "is not a network"),
        ("10.0.0.256", "is not a network"),
        ("10.0.0.*", "is not a network"),
        ("-1.0.0.0", "is not a network"),
        ("localhost", "is not a network"),
        ("*", "is not a network"),
        ("http://10.0.0.1", "is not a network"),
        ("2001:db8::1::2", "is not a network"),
        ("2001:db8:::1", "is not a network"),
        ("2001:db8::12345", "is not a network"),
        ("1:2:3:4:5:6:7:8:9", "is not a network"),
        ("２.0.0.1", "is not a network"),
        ("10.0.0.1\u{0}", "is not a network"),
    ] {
        let told = Network::parse(text).expect_err(text);
        assert!(told.contains(why) && told.contains(text), "{text:?}: {told}");
    }
    for long in ["1".repeat(50), "ü".repeat(100_000)] {
        let told = Network::parse(&long).expect_err("it is long");
        assert!(told.contains("too long") && told.len() < 200, "{told}");
    }
}

/// An address of another one's making is read in the same strict way.
#[test]
fn addresses_have_one_spelling() {
    assert_eq!(address("192.0.2.7"), Some(at("192.0.2.7")));
    assert_eq!(address("::ffff:192.0.2.7"), Some(at("192.0.2.7")));
    assert_eq!(address("::FFFF:c000:207"), Some(at("192.0.2.7")));
    assert_eq!(address("2001:db8::7"), Some(at("2001:db8::7")));
    assert_eq!(address("::"), Some(at("::")));
    for wrong in [
        "",
        " ",
        "192.0.2.7 ",
        "192.0.2.7/32",
        "192.0.2.7:1",
        "[::1]",
        "::1%lo",
        "::192.0.2.7",
        "010.0.0.1",
        "0xa.0.0.1",
        "10.1",
        "167772161",
        "::ffff:010.0.0.1",
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3.4.",
    ] {
        assert_eq!(address(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_network_can_be_made_of_its_parts() {
    assert_eq!(Network::new(at("10.1.2.3"), 8), Some(net("10.0.0.0/8")));
    assert_eq!(Network::new(at("::ffff:10.1.2.3"), 104), Some(net("10.0.0.0/8")));
    assert_eq!(Network::new(at("::ffff:10.1.2.3"), 95), None);
    assert_eq!(Network::new(at("10.1.2.3"), 33), None);
    assert_eq!(Network::new(at("::1"), 129), None);
    assert_eq!(Network::from(at("::ffff:10.1.2.3")), net("10.1.2.3"));
    assert_eq!((net("10.0.0.0/8").prefix(), net("::1").prefix()), (8, 128));
}
