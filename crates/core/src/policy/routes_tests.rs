use super::*;

#[test]
fn the_most_specific_template_wins() {
    let mut r = Routes::default();
    for (i, (host, t)) in [
        (None, "/v1/*"),
        (None, "/v1/things/{id}"),
        (None, "/v1/things/new"),
        (None, "/v1/things/{id}/parts"),
        (Some("api.example"), "/v1/things/new"),
        (None, "/"),
    ]
    .into_iter()
    .enumerate()
    {
        let style = if t.starts_with("/v1/things") { ErrorStyle::Antavo } else { ErrorStyle::Problem };
        r.add(host, &Template::parse(t).unwrap(), RouteId(i), style);
    }
    for (host, path, want) in [
        ("x", "/", Some(5)),
        ("x", "/v1", Some(0)),
        ("x", "/v1/", Some(0)),
        ("x", "/v1/other/a/b", Some(0)),
        ("x", "/v1/things/7", Some(1)),
        ("x", "/v1/things/7/", Some(1)),
        ("x", "/v1/things/new", Some(2)),
        ("x", "/v1/things/new/parts", Some(3)),
        ("x", "/v1/things/new/other", Some(0)),
        ("x", "/v10", None),
        ("x", "/V1", None),
        ("api.example", "/v1/things/new", Some(4)),
        ("api.example", "/v1/things/7", Some(1)),
    ] {
        assert_eq!(r.as_sent(host, path.as_bytes()).0.first().map(|r| r.0), want, "{host} {path}");
    }
}

#[test]
fn an_unknown_path_has_the_style_of_its_neighbours() {
    let mut r = Routes::default();
    for (i, (host, t, style)) in [
        (None, "/v1/vouchers/{id}", ErrorStyle::Voucherify),
        (None, "/v1/auth/token", ErrorStyle::Antavo),
        (Some("one.example"), "/a", ErrorStyle::Antavo),
    ]
    .into_iter()
    .enumerate()
    {
        r.add(host, &Template::parse(t).unwrap(), RouteId(i), style);
    }
    for (host, path, want) in [
        ("x", "/v1/vouchers/7/more", Some(ErrorStyle::Voucherify)),
        ("x", "/v1/auth", Some(ErrorStyle::Antavo)),
        ("x", "/v1/other", None),
        ("x", "/", None),
        ("one.example", "/elsewhere", Some(ErrorStyle::Antavo)),
    ] {
        assert_eq!(r.style_near(host, path.as_bytes()), want, "{host} {path}");
    }
}

#[test]
fn templates_and_methods_are_read_strictly() {
    for bad in ["", "v1", "/a*", "/a//b", "/../b", "/{}", "/a b", "/a%20b", "/*/b"] {
        assert!(Template::parse(bad).is_err(), "{bad}");
    }
    assert!(Methods::new(["TRACE"]).is_err() && Methods::new(["get"]).is_err() && Methods::new([]).is_err());
    assert!(Methods::new(["GET"]).unwrap().has(b"HEAD"));
    for (host, name) in [
        ("API.example:8080", "api.example"),
        ("api.example.", "api.example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
    ] {
        assert_eq!(host_name(host.as_bytes()), name);
    }
}

/// Case 7: names that differ in their capitals alone are the same to some servers.
#[test]
fn what_some_servers_take_for_another_name_is_told() {
    let mut r = Routes::default();
    for (i, (host, t)) in [
        (None, "/files/{name}"),
        (None, "/files/admin"),
        (None, "/{a}/{b}/{c}"),
        (None, "/Both"),
        (None, "/both"),
        (None, "/*"),
        (Some("own.example"), "/inner"),
    ]
    .into_iter()
    .enumerate()
    {
        r.add(host, &Template::parse(t).unwrap(), RouteId(i), ErrorStyle::Problem);
    }
    for (host, path, sent, alike, read) in [
        ("x", "/files/other", 0, false, 0),
        ("x", "/files/admin", 1, false, 1),
        ("x", "/files/Admin", 0, true, 1),
        ("x", "/files/admin.", 0, true, 1),
        ("x", "/Files/admin", 5, true, 1),
        ("x", "/files/admin/x", 2, false, 2),
        ("x", "/FILES/admin/x", 2, true, 2),
        ("x", "/both", 4, false, 4),
        ("x", "/Both", 3, false, 3),
        ("x", "/BOTH", 5, true, 3),
        ("own.example", "/inner", 6, false, 6),
        ("own.example", "/Inner", 5, true, 6),
        ("x", "/Inner", 5, false, 5),
    ] {
        let (found, told) = r.as_sent(host, path.as_bytes());
        let [_, leniently] = r.as_read_leniently(host, path.as_bytes(), Habits::ALL[0]);
        let first = |routes: &[RouteId]| routes.first().map(|r| r.0);
        assert_eq!((first(found), told, first(leniently)), (Some(sent), alike, Some(read)), "{host} {path}");
    }
}
