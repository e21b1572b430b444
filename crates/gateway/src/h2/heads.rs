//! Fields of HTTP/2 written as a head of HTTP/1.1, so that one engine reads both versions. What could not be written
//! without saying something else is refused here; everything else is judged by the same rules as a head that came as
//! HTTP/1.1.
use super::wrong::Wrong;
use crate::pump::field;
use crate::text::decimal;

/// What a field takes in a head besides its text: a colon, a space, CRLF.
const FIELD_EXTRA_BYTES: usize = 4;

/// How the body of a message is framed in HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Nothing,
    /// So many bytes.
    Length(u64),
    Chunked,
}

/// The fields of one message, on their way to a head. Kept from message to message for its memory.
#[derive(Default)]
pub(super) struct Fields {
    method: Vec<u8>,
    path: Vec<u8>,
    authority: Vec<u8>,
    host: Vec<u8>,
    /// Crumbs of cookies, joined (RFC 9113 8.2.3).
    cookie: Vec<u8>,
    has: Has,
    status: u16,
    length: Option<u64>,
    bytes: usize,
    most: usize,
    wrong: Option<Wrong>,
}

/// What came.
#[derive(Default)]
struct Has {
    method: bool,
    path: bool,
    authority: bool,
    scheme: bool,
    host: bool,
    status: bool,
    regular: bool,
}

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    Answer,
    Trailers,
}

const fn token(c: u8) -> bool {
    matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
        | b'^' | b'_' | b'`' | b'|' | b'~')
}

fn printable(text: &[u8]) -> bool {
    text.iter().all(|c| *c > b' ' && *c != 0x7f)
}

impl Fields {
    /// Ready for a message of at most so many bytes, as HTTP/1.1 would write it.
    pub(super) fn begin(&mut self, most: usize) {
        self.texts().into_iter().for_each(Vec::clear);
        (self.has, self.status, self.length, self.bytes) = (Has::default(), 0, None, 0);
        (self.most, self.wrong) = (most, None);
    }

    /// All memory that is kept.
    pub(super) fn texts(&mut self) -> [&mut Vec<u8>; 5] {
        [&mut self.method, &mut self.path, &mut self.authority, &mut self.host, &mut self.cookie]
    }

    pub(super) fn refuse(&mut self, wrong: Wrong) {
        self.wrong = self.wrong.or(Some(wrong));
    }

    /// Takes one field. `out` is where the head is written.
    pub(super) fn take(&mut self, what: Message, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        self.bytes += name.len() + value.len() + FIELD_EXTRA_BYTES;
        if self.bytes > self.most {
            // It counts more than whatever else is wrong, and nothing more is kept.
            self.wrong = Some(Wrong::TooLarge);
        }
        if self.wrong.is_some() {
            return;
        }
        let taken = match name {
            [b':', pseudo @ ..] => self.pseudo(what, pseudo, value),
            _ => self.regular(what, name, value, out),
        };
        self.wrong = taken.err();
    }

    fn pseudo(&mut self, what: Message, name: &[u8], value: &[u8]) -> Result<(), Wrong> {
        if self.has.regular {
            return Err(Wrong::PseudoLate);
        }
        let (seen, text) = match (what, name) {
            (Message::Request, b"method") => (&mut self.has.method, &mut self.method),
            (Message::Request, b"path") => (&mut self.has.path, &mut self.path),
            (Message::Request, b"authority") => (&mut self.has.authority, &mut self.authority),
            (Message::Request, b"scheme") => {
                if !value.eq_ignore_ascii_case(b"http") && !value.eq_ignore_ascii_case(b"https") {
                    return Err(Wrong::Scheme);
                }
                // Which of the two says nothing: a proxy in front may have ended TLS.
                return if std::mem::replace(&mut self.has.scheme, true) {
                    Err(Wrong::PseudoRepeated)
                } else {
                    Ok(())
                };
            }
            (Message::Request, b"protocol") => return Err(Wrong::Connect),
            (Message::Answer, b"status") => (&mut self.has.status, &mut self.method),
            _ => return Err(Wrong::PseudoUnknown),
        };
        if std::mem::replace(seen, true) {
            return Err(Wrong::PseudoRepeated);
        }
        text.extend_from_slice(value);
        Ok(())
    }

    fn regular(&mut self, what: Message, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        if name.is_empty() || !name.iter().all(|c| token(*c)) {
            return Err(Wrong::FieldName);
        }
        if value.iter().any(|c| *c < b' ' && *c != b'\t' || *c == 0x7f) {
            return Err(Wrong::FieldValue);
        }
        if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value {
            return Err(Wrong::FieldSpace);
        }
        if !std::mem::replace(&mut self.has.regular, true) {
            self.first_line(what, out)?;
        }
        match name {
            b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
                return Err(Wrong::ConnectionField);
            }
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => return Err(Wrong::Te),
            b"host" if what == Message::Request => {
                if std::mem::replace(&mut self.has.host, true) {
                    return Err(Wrong::HostRepeated);
                }
                self.host.extend_from_slice(value);
                return Ok(());
            }
            b"cookie" if what == Message::Request => {
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
                return Ok(());
            }
            b"content-length" if what != Message::Trailers => {
                // Whatever else it says, or however often, is told by whoever reads the head.
                let plain = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
                let n = value.iter().fold(0_u64, |n, c| n.wrapping_mul(10).wrapping_add(u64::from(c & 15)));
                self.length = Some(if plain { n } else { 0 });
            }
            _ => {}
        }
        field(out, name, value);
        Ok(())
    }

    fn first_line(&mut self, what: Message, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let has = &self.has;
        match what {
            Message::Trailers => {}
            Message::Answer => {
                let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] = self.method[..] else {
                    return Err(Wrong::Status);
                };
                self.status = [a, b, c].iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
                out.extend_from_slice(b"HTTP/1.1 ");
                out.extend_from_slice(&self.method);
                out.extend_from_slice(b" \r\n");
            }
            Message::Request => {
                if has.method && self.method == b"CONNECT" {
                    return Err(Wrong::Connect);
                }
                if !has.method || !has.path || !has.scheme {
                    return Err(Wrong::PseudoMissing);
                }
                if self.method.is_empty() || !self.method.iter().all(|c| token(c.to_ascii_lowercase())) {
                    return Err(Wrong::Method);
                }
                let asterisk = self.path == b"*" && self.method == b"OPTIONS";
                if !printable(&self.path) || self.path.first() != Some(&b'/') && !asterisk {
                    return Err(Wrong::Path);
                }
                if has.authority && (self.authority.is_empty() || !printable(&self.authority)) {
                    return Err(Wrong::Authority);
                }
                out.extend_from_slice(&self.method);
                out.push(b' ');
                out.extend_from_slice(&self.path);
                out.extend_from_slice(b" HTTP/1.1\r\n");
                if has.authority {
                    field(out, b"host", &self.authority);
                }
            }
        }
        Ok(())
    }

    /// Ends the head of a request; `end`: no body follows.
    pub(super) fn request(&mut self, end: bool, out: &mut Vec<u8>) -> Result<Shape, Wrong> {
        self.complete(Message::Request, out)?;
        match (self.has.authority, self.has.host) {
            (true, true) if !self.authority.eq_ignore_ascii_case(&self.host) => {
                return Err(Wrong::AuthorityNotHost);
            }
            (false, true) => field(out, b"host", &self.host),
            _ => {}
        }
        if !self.cookie.is_empty() {
            field(out, b"cookie", &self.cookie);
        }
        let shape = match (end, self.length) {
            (true, Some(1..)) => return Err(Wrong::Length),
            (true, _) => Shape::Nothing,
            (false, Some(n)) => Shape::Length(n),
            (false, None) => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Shape::Chunked
            }
        };
        out.extend_from_slice(b"\r\n");
        Ok(shape)
    }

    /// Ends the head of an answer; its status, and how its body is framed.
    pub(super) fn answer(
        &mut self,
        end: bool,
        to_head: bool,
        out: &mut Vec<u8>,
    ) -> Result<(u16, Shape), Wrong> {
        self.complete(Message::Answer, out)?;
        let interim = self.status < 200;
        if interim && (end || self.status == 101) {
            return Err(Wrong::Status);
        }
        let bodiless = interim || to_head || matches!(self.status, 204 | 304);
        let shape = match (bodiless, end, self.length) {
            (true, ..) => Shape::Nothing,
            (false, true, Some(1..)) => return Err(Wrong::Length),
            (false, true, Some(0)) => Shape::Nothing,
            (false, true, None) => {
                out.extend_from_slice(b"content-length: ");
                decimal(out, 0);
                out.extend_from_slice(b"\r\n");
                Shape::Nothing
            }
            (false, false, Some(n)) => Shape::Length(n),
            (false, false, None) => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Shape::Chunked
            }
        };
        // A stream carries one answer.
        out.extend_from_slice(if interim { b"\r\n" } else { b"connection: close\r\n\r\n" });
        Ok((self.status, shape))
    }

    /// Whether what came as trailers begins as a request does.
    pub(super) fn is_head(&self) -> bool {
        self.wrong == Some(Wrong::PseudoUnknown)
    }

    /// Ends a trailer section, without the empty line after it.
    pub(super) fn trailers(&mut self) -> Result<(), Wrong> {
        self.wrong.map_or(Ok(()), Err)
    }

    fn complete(&mut self, what: Message, out: &mut Vec<u8>) -> Result<(), Wrong> {
        if !self.has.regular && self.wrong.is_none() {
            self.first_line(what, out)?;
        }
        self.wrong.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
#[path = "heads_tests.rs"]
mod tests;
