//! Every rule of a chunked body, at every split.
use super::*;

/// Data, trailers and the number of bytes that the body took.
type Decoded = (Vec<u8>, Vec<(String, String)>, usize);

/// Feeds `bytes` in pieces of `step`, the first of them `first` long.
fn decode(bytes: &[u8], first: usize, step: usize, limits: &Limits) -> Result<Option<Decoded>, Reject> {
    let (mut chunked, mut data, mut at) = (Chunked::new(limits), Vec::new(), 0);
    while !chunked.done() && at < bytes.len() {
        let length = if at == 0 && first > 0 { first } else { step };
        let piece = &bytes[at..(at + length).min(bytes.len())];
        let taken = chunked.feed(piece, |place| data.extend_from_slice(&piece[place]))?;
        assert!(taken == piece.len() || chunked.done(), "all is taken, unless the body ended");
        at += taken;
    }
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let trailers = chunked.trailers().map(|(name, value)| (text(name), text(value))).collect();
    Ok(chunked.done().then_some((data, trailers, at)))
}

/// The same result however the bytes arrive.
fn decode_everyhow(bytes: &[u8], limits: &Limits) -> Result<Option<Decoded>, Reject> {
    let whole = decode(bytes, 0, bytes.len(), limits);
    for split in 1..bytes.len() {
        assert_eq!(decode(bytes, split, bytes.len(), limits), whole, "{} at {split}", bytes.escape_ascii());
        assert_eq!(decode(bytes, 0, split, limits), whole, "{} by {split}", bytes.escape_ascii());
    }
    whole
}

#[test]
fn bodies_are_taken_apart_at_every_split() {
    for (bytes, data, trailers) in [
        (&b"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n"[..], "Wikipedia", &[][..]),
        (b"0\r\n\r\n", "", &[]),
        (b"000\r\n\r\n", "", &[]),
        (b"A;x=y; z=\"q\t\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", &[]),
        (b"00000000000000a\r\n\r\n\n\r0\r\n\r\n0\r\n0\r\n\r\n", "\r\n\n\r0\r\n\r\n0", &[]),
        (b"1\r\na\r\n0\r\nA: b\r\nC-d:\t e f \r\nE:\r\n\r\n", "a", &[("A", "b"), ("C-d", "e f"), ("E", "")]),
        (b"0\r\nAuthorization: x\r\n\r\n", "", &[("Authorization", "x")]),
    ] {
        let mut stream = bytes.to_vec();
        stream.extend_from_slice(b"GET / HTTP/1.1\r\n");
        let (found, fields, taken) = decode_everyhow(&stream, &Limits::default()).unwrap().unwrap();
        assert_eq!((found.as_slice(), taken), (data.as_bytes(), bytes.len()), "{}", bytes.escape_ascii());
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(fields, trailers);
    }
}

#[test]
fn s9112_7_other_forms_are_refused_at_every_split() {
    for (bytes, reject) in [
        (&b"4\nWiki\n0\n\n"[..], Reject::BareLineFeed),
        (b"\r\n", Reject::ChunkSize),
        (b";a\r\n", Reject::ChunkSize),
        (b" 4\r\n", Reject::ChunkSize),
        (b"4 \r\n", Reject::ChunkSize),
        (b"4\t;a\r\n", Reject::ChunkSize),
        (b"0x4\r\n", Reject::ChunkSize),
        (b"-1\r\n", Reject::ChunkSize),
        (b"+4\r\n", Reject::ChunkSize),
        (b"4_0\r\n", Reject::ChunkSize),
        (b"g\r\n", Reject::ChunkSize),
        (b"\0", Reject::ChunkSize),
        (b"4\rWiki", Reject::BareCarriageReturn),
        (b"100000000000000\r\n", Reject::ChunkTooLarge),
        (b"ffffffffffffffff\r\n", Reject::ChunkTooLarge),
        (b"10000000000000004\r\n", Reject::ChunkTooLarge),
        (b"00000000000000004\r\n", Reject::ChunkTooLarge),
        (b"4;a\nb\r\n", Reject::BareLineFeed),
        (b"4;a\0b\r\n", Reject::ChunkExtension),
        (b"4;a\x7f\r\n", Reject::ChunkExtension),
        (b"4;\xe4\r\n", Reject::ChunkExtension),
        (b"4;a\rb", Reject::BareCarriageReturn),
        (b"4\r\nWiki0\r\n\r\n", Reject::ChunkEnd),
        (b"4\r\nWikiX\r\n", Reject::ChunkEnd),
        (b"4\r\nWiki\n0\r\n", Reject::ChunkEnd),
        (b"4\r\nWiki\r0\r\n", Reject::ChunkEnd),
        (b"0\r\n\n", Reject::BareLineFeed),
        (b"0\r\n\rX", Reject::BareCarriageReturn),
        (b"0\r\nA: b\n\r\n", Reject::BareLineFeed),
        (b"0\r\nA: b\r\n\n", Reject::BareLineFeed),
        (b"0\r\nA b\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\nA : b\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\nA: b\r\n c\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\n A: b\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\n: b\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\nA: b\rc\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\nA: b\0\r\n\r\n", Reject::TrailerSyntax),
        (b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TrailerSyntax),
    ] {
        let mut stream = bytes.to_vec();
        stream.extend_from_slice(b"0\r\n\r\n\r\n\r\n");
        let refused = decode_everyhow(&stream, &Limits::default());
        assert_eq!(refused, Err(reject), "{}", bytes.escape_ascii());
    }
}

#[test]
fn an_unfinished_body_is_not_done() {
    for bytes in [
        &b"4"[..],
        b"4\r\n",
        b"4\r\nWik",
        b"4\r\nWiki\r\n",
        b"0\r\n",
        b"0\r\n\r",
        b"0\r\nA: b\r\n",
        b"0\r\nA: b\r\n\r",
    ] {
        assert_eq!(decode_everyhow(bytes, &Limits::default()), Ok(None), "{}", bytes.escape_ascii());
    }
}

#[test]
fn s9112_7_lines_extensions_and_trailers_are_bounded() {
    let limits = Limits { chunk_line_bytes: 10, trailer_bytes: 10, ..Limits::default() };
    assert!(decode_everyhow(b"0;345678\r\n\r\n", &limits).unwrap().is_some());
    assert_eq!(decode_everyhow(b"0;3456789\r\n\r\n", &limits), Err(Reject::ChunkLineTooLong));
    assert!(decode_everyhow(b"0\r\nA: bcd\r\n\r\n", &limits).unwrap().is_some());
    assert_eq!(decode_everyhow(b"0\r\nA: bcde\r\n\r\n", &limits), Err(Reject::TrailerTooLarge));

    let chunk = format!("1;{}\r\na\r\n", "x".repeat(100));
    let endless = chunk.repeat(200);
    let refused = decode(endless.as_bytes(), 0, 1000, &Limits::default());
    assert_eq!(refused, Err(Reject::ChunkExtensionsTooLong));

    let many = format!("0\r\n{}\r\n", "A:\r\n".repeat(65));
    assert_eq!(decode(many.as_bytes(), 0, 50, &Limits::default()), Err(Reject::TrailerTooLarge));
}

#[test]
fn data_is_handed_out_in_whole_pieces() {
    let mut body = b"10000\r\n".to_vec();
    body.resize(body.len() + 0x10000, b'x');
    body.extend_from_slice(b"\r\n0\r\n\r\n");
    let (mut chunked, mut places) = (Chunked::default(), Vec::new());
    assert_eq!(chunked.feed(&body, |place| places.push(place)), Ok(body.len()));
    assert_eq!((places.len(), places[0].clone()), (1, 7..7 + 0x10000));
    assert!(std::mem::size_of::<Chunked>() <= 64, "{}", std::mem::size_of::<Chunked>());
}
