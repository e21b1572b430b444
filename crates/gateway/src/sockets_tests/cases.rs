//! What callers and upstreams say, and what must come of it.

/// A connection from a caller.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) request: &'static [u8],
    /// For each upstream connection: bytes, and how many whole requests must have been heard before they come.
    pub(super) upstream: &'static [&'static [(usize, &'static [u8])]],
    /// The upstream ends its connection after its last byte.
    pub(super) upstream_ends: bool,
    /// What the upstream must have heard.
    pub(super) forwarded: &'static [&'static str],
    /// What the caller must have heard.
    pub(super) answers: &'static [&'static str],
    pub(super) events: usize,
}

/// At once, whatever was heard.
const SOON: usize = 0;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "length",
        request: b"GET /open/a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nConnection: close\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-B: 2\r\n\r\nhello")]],
        upstream_ends: false,
        forwarded: &["GET /open/a?b=c HTTP/1.1; host: h; X-A: 1"],
        answers: &["HTTP/1.1 200 OK; X-B: 2; content-length: 5; connection: close | hello"],
        events: 1,
    },
    Case {
        name: "upload",
        request: b"POST /open/a HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello there",
        upstream: &[&[(1, b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")]],
        upstream_ends: false,
        forwarded: &["POST /open/a HTTP/1.1; host: h; content-length: 11 | hello there"],
        answers: &["HTTP/1.1 201 Created; content-length: 0; connection: close"],
        events: 1,
    },
    Case {
        name: "chunked both ways, with trailers",
        request: b"POST /open/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
            4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nX-T: 1\r\nX-Api-Key: no\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-U: 2\r\nContent-Length: 9\r\n\r\n")]],
        upstream_ends: false,
        forwarded: &["POST /open/a HTTP/1.1; host: h; transfer-encoding: chunked | Wikipedia | X-T: 1"],
        answers: &["HTTP/1.1 200 OK; transfer-encoding: chunked; connection: close | abcde | X-U: 2"],
        events: 1,
    },
    Case {
        name: "until the connection ends",
        request: b"GET /open/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.0 200 OK\r\n\r\nall of it")]],
        upstream_ends: true,
        forwarded: &["GET /open/a HTTP/1.1; host: h"],
        answers: &["HTTP/1.1 200 OK; transfer-encoding: chunked; connection: close | all of it"],
        events: 1,
    },
    Case {
        name: "HEAD",
        request: b"HEAD /open/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")]],
        upstream_ends: false,
        forwarded: &["HEAD /open/a HTTP/1.1; host: h"],
        answers: &["HTTP/1.1 200 OK; content-length: 77; connection: close"],
        events: 1,
    },
    Case {
        name: "interim answers",
        request: b"GET /open/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: e\r\n\r\n")]],
        upstream_ends: false,
        forwarded: &["GET /open/a HTTP/1.1; host: h"],
        answers: &["HTTP/1.1 103 Early Hints; Link: x", "HTTP/1.1 304 Not Modified; ETag: e; content-length: 9; connection: close"],
        events: 1,
    },
    Case {
        name: "three in a row on one upstream connection",
        request: b"GET /open/1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /open/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\
            GET /open/3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        upstream: &[&[
            (1, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"),
            (2, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"),
            (3, b"HTTP/1.1 204 No Content\r\n\r\n"),
        ]],
        upstream_ends: false,
        forwarded: &[
            "GET /open/1 HTTP/1.1; host: h",
            "POST /open/2 HTTP/1.1; host: h; content-length: 3 | abc",
            "GET /open/3 HTTP/1.1; host: h",
        ],
        answers: &[
            "HTTP/1.1 200 OK; content-length: 3 | one",
            "HTTP/1.1 200 OK; transfer-encoding: chunked | two",
            "HTTP/1.1 204 No Content; connection: close",
        ],
        events: 3,
    },
    Case {
        name: "100-continue",
        request: b"POST /open/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]],
        upstream_ends: false,
        forwarded: &["POST /open/a HTTP/1.1; host: h; transfer-encoding: chunked | a"],
        answers: &["HTTP/1.1 200 OK; content-length: 2; connection: close | ok"],
        events: 1,
    },
    Case {
        name: "HTTP/1.0",
        request: b"GET /open/a HTTP/1.0\r\nHost: h\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-U: 2\r\n\r\n")]],
        upstream_ends: false,
        forwarded: &["GET /open/a HTTP/1.1; host: h"],
        answers: &["HTTP/1.1 200 OK; connection: close | abc"],
        events: 1,
    },
    Case {
        name: "refused with a body, then permitted",
        request: b"POST /keyed HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /\
            POST /keyed HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            GET /open/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]],
        upstream_ends: false,
        forwarded: &["GET /open/a HTTP/1.1; host: h"],
        answers: &["HTTP/1.1 401 Unauthorized (ours)", "HTTP/1.1 401 Unauthorized (ours)", "HTTP/1.1 200 OK; content-length: 2; connection: close | ok"],
        events: 3,
    },
    Case {
        name: "answered here, then forwarded",
        request: b"POST /here HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /key HTTP/1.1\r\nHost: h\r\n\r\n\
            POST /here HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n1\r\n \r\n0\r\n\r\n\
            GET /open/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]],
        upstream_ends: false,
        forwarded: &["GET /open/a HTTP/1.1; host: h"],
        answers: &[
            "HTTP/1.1 200 OK; date: Thu, 01 Jan 1970 00:00:00 GMT; content-type: text/plain; cache-control: no-store; \
             content-length: 14 | POST /here abc",
            "HTTP/1.1 200 OK; date: Thu, 01 Jan 1970 00:00:00 GMT; content-type: text/plain; cache-control: no-store; \
             content-length: 9 | GET /key ",
            "HTTP/1.1 200 OK; date: Thu, 01 Jan 1970 00:00:00 GMT; content-type: text/plain; cache-control: no-store; \
             content-length: 15 | POST /here GET ",
            "HTTP/1.1 200 OK; content-length: 2; connection: close | ok",
        ],
        events: 4,
    },
    Case {
        name: "an endpoint that never answers, and a body that is too long for one",
        request: b"POST /here HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nnever\
            GET /open/a HTTP/1.1\r\nHost: h\r\n\r\nPOST /here HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
            21\r\n012345678901234567890123456789012\r\n0\r\n\r\n",
        upstream: &[&[(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]],
        upstream_ends: false,
        forwarded: &["GET /open/a HTTP/1.1; host: h"],
        answers: &[
            "HTTP/1.1 503 Service Unavailable (ours)",
            "HTTP/1.1 200 OK; content-length: 2 | ok",
            "HTTP/1.1 413 Content Too Large (ours)",
        ],
        events: 3,
    },
    Case {
        name: "ambiguous, then nothing more",
        request: b"POST /open/a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /open/b HTTP/1.1\r\nHost: h\r\n\r\n",
        upstream: &[],
        upstream_ends: false,
        forwarded: &[],
        answers: &["HTTP/1.1 400 Bad Request (ours)"],
        events: 1,
    },
    Case {
        name: "an answer before the request is whole",
        request: b"POST /open/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        upstream: &[&[(SOON, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")]],
        upstream_ends: false,
        forwarded: &["POST /open/a HTTP/1.1; host: h; content-length: 3 | abc"],
        answers: &["HTTP/1.1 200 OK; content-length: 5; connection: close | early"],
        events: 1,
    },
];
