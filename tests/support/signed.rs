//! Signs requests by the published rules of Escher and Signature Version 4, on its own: nothing of the product is used.
use super::actor::Actor;
use super::client::HOST;
use super::sha256;
use aws_lc_rs::{digest, hmac};
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in seconds since 1970, as this process knows it.
pub(crate) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs() as i64
}

/// Year, month, day, hour, minute, second.
fn parts(at_s: i64) -> [i64; 6] {
    let (mut day, second) = (at_s.div_euclid(86_400), at_s.rem_euclid(86_400));
    let length = |year: i64| 365 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let mut year = 1970;
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let mut month = 1;
    for days in [31, length(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    [year, month, day + 1, second / 3_600, second / 60 % 60, second % 60]
}

/// `20150830T123600Z`.
pub(crate) fn iso(at_s: i64) -> String {
    let [year, month, day, hour, minute, second] = parts(at_s);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `Sun, 30 Aug 2015 12:36:00 GMT`.
pub(crate) fn http(at_s: i64) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    // 1970 began on a Thursday.
    const DAYS: &str = "ThuFriSatSunMonTueWed";
    let [year, month, day, hour, minute, second] = parts(at_s);
    let (month, week) = ((month as usize - 1) * 3, at_s.div_euclid(86_400).rem_euclid(7) as usize * 3);
    let (month, week) = (&MONTHS[month..month + 3], &DAYS[week..week + 3]);
    format!("{week}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// A request that somebody signs.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) who: Actor,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    /// As they are sent, in order; the date is not among them.
    pub(crate) fields: Vec<(String, String)>,
    /// Names of those that are signed, in lower case.
    pub(crate) signs: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// When it is signed, in seconds since 1970.
    pub(crate) at_s: i64,
    /// As it is sent.
    pub(crate) date: String,
    pub(crate) scope: String,
    pub(crate) sha512: bool,
}

impl Actor {
    /// A request of this caller that is signed now.
    pub(crate) fn signed(&self, method: &str, target: &str) -> Signed {
        let scope = if self.dialect == "aws4" {
            "us-east-1/execute-api/aws4_request"
        } else {
            "us/api/antavo_request"
        };
        let signed = Signed {
            who: self.clone(),
            method: method.to_owned(),
            target: target.to_owned(),
            host: HOST.to_owned(),
            fields: Vec::new(),
            signs: Vec::new(),
            body: Vec::new(),
            at_s: 0,
            date: String::new(),
            scope: scope.to_owned(),
            sha512: false,
        };
        signed.at(now_s())
    }
}

impl Signed {
    /// The same request, signed by somebody else.
    pub(crate) fn by(who: &Actor, other: &Signed) -> Signed {
        Signed { who: who.clone(), ..other.clone() }
    }
    /// At this second.
    pub(crate) fn at(self, at_s: i64) -> Signed {
        Signed { at_s, date: iso(at_s), ..self }
    }
    /// With the date in HTTP's form.
    pub(crate) fn http_date(self) -> Signed {
        Signed { date: http(self.at_s), ..self }
    }
    pub(crate) fn sha512(self) -> Signed {
        Signed { sha512: true, ..self }
    }
    pub(crate) fn body(self, body: impl AsRef<[u8]>) -> Signed {
        Signed { body: body.as_ref().to_vec(), ..self }
    }
    /// With a field that is not signed.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Signed {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
    /// With a field that is signed.
    pub(crate) fn signing(self, name: &str, value: &str) -> Signed {
        let mut signed = self.field(name, value);
        signed.signs.push(name.to_ascii_lowercase());
        signed
    }

    fn aws4(&self) -> bool {
        self.who.dialect == "aws4"
    }
    pub(crate) fn date_name(&self) -> &'static str {
        if self.aws4() { "X-Amz-Date" } else { "Date" }
    }
    fn algorithm(&self) -> String {
        let prefix = if self.aws4() { "AWS4" } else { "ANTAVO" };
        format!("{prefix}-HMAC-SHA{}", if self.sha512 { 512 } else { 256 })
    }
    fn hash(&self, bytes: &[u8]) -> String {
        match self.sha512 {
            true => hex(digest::digest(&digest::SHA512, bytes).as_ref()),
            false => sha256(bytes),
        }
    }
    fn hmac(&self, key: &[u8], what: &[u8]) -> Vec<u8> {
        let algorithm = if self.sha512 { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
        hmac::sign(&hmac::Key::new(algorithm, key), what).as_ref().to_vec()
    }
    /// `20150830`.
    pub(crate) fn day(&self) -> String {
        iso(self.at_s)[..8].to_owned()
    }
    fn day_and_scope(&self) -> String {
        format!("{}/{}", self.day(), self.scope)
    }

    fn signature(&self, target: &str, names: &[String], payload: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if self.aws4() { encoded(path.as_bytes(), b"/") } else { path.to_owned() };
        let mut pairs: Vec<String> = query.split('&').filter(|_| !query.is_empty()).map(pair).collect();
        pairs.sort();
        let mut canonical = format!("{}\n{path}\n{}\n", self.method, pairs.join("&"));
        let date = (self.date_name().to_owned(), self.date.clone());
        let host = ("host".to_owned(), self.host.clone());
        for name in names {
            let sent = self.fields.iter().chain([&date, &host]);
            let values: Vec<&str> =
                sent.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect();
            let one =
                values.join(",").split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            canonical.push_str(&format!("{name}:{one}\n"));
        }
        canonical.push_str(&format!("\n{}\n{payload}", names.join(";")));
        let what = format!(
            "{}\n{}\n{}\n{}",
            self.algorithm(),
            iso(self.at_s),
            self.day_and_scope(),
            self.hash(canonical.as_bytes())
        );
        let prefix = if self.aws4() { "AWS4" } else { "ANTAVO" };
        let first = format!("{prefix}{}", self.who.secret).into_bytes();
        let key = self.day_and_scope().split('/').fold(first, |key, part| self.hmac(&key, part.as_bytes()));
        hex(&self.hmac(&key, what.as_bytes()))
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.signs.clone();
        names.extend(["host".to_owned(), self.date_name().to_ascii_lowercase()]);
        names.sort();
        names.dedup();
        names
    }

    /// The value of `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        let names = self.names();
        let signature = self.signature(&self.target, &names, &self.hash(&self.body));
        let (algorithm, id, scope) = (self.algorithm(), &self.who.id, self.day_and_scope());
        let names = names.join(";");
        format!("{algorithm} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    /// The head with this `Authorization`, and further lines as they are.
    pub(crate) fn head_with(&self, authorization: &str, lines: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        head.push_str(&format!("{}: {}\r\n", self.date_name(), self.date));
        self.fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head + &format!("Authorization: {authorization}\r\n{lines}\r\n")
    }

    /// The head alone, with further lines as they are.
    pub(crate) fn head(&self, lines: &str) -> String {
        self.head_with(&self.authorization(), lines)
    }

    /// The line that announces the body; nothing where there is none.
    pub(crate) fn length(&self) -> String {
        match (self.body.len(), self.method.as_str()) {
            (0, "GET" | "DELETE" | "HEAD") => String::new(),
            (n, _) => format!("Content-Length: {n}\r\n"),
        }
    }

    /// The whole request.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(&self.length()).as_bytes(), &self.body].concat()
    }

    /// The whole request, its body in chunks of so many bytes.
    pub(crate) fn in_chunks(&self, size: usize) -> Vec<u8> {
        let mut out = self.head("Transfer-Encoding: chunked\r\n").into_bytes();
        for chunk in self.body.chunks(size) {
            out.extend(format!("{:x}\r\n", chunk.len()).bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }

    /// The target with the signature in it, good for so many seconds.
    pub(crate) fn presigned(&self, expires_s: u32) -> String {
        let (vendor, credential) =
            if self.aws4() { ("Amz", "Credential") } else { ("Antavo", "Credentials") };
        let scope = encoded(format!("{}/{}", self.who.id, self.day_and_scope()).as_bytes(), b"");
        let (algorithm, date) = (self.algorithm(), iso(self.at_s));
        let between = if self.target.contains('?') { '&' } else { '?' };
        let target = format!(
            "{}{between}X-{vendor}-Algorithm={algorithm}&X-{vendor}-{credential}={scope}&X-{vendor}-Date={date}\
             &X-{vendor}-Expires={expires_s}&X-{vendor}-SignedHeaders=host",
            self.target
        );
        // Escher takes the words for the body; Signature Version 4 writes them as they are.
        let payload = "UNSIGNED-PAYLOAD";
        let payload = if self.aws4() { sha256(b"") } else { self.hash(payload.as_bytes()) };
        let signature = self.signature(&target, &["host".to_owned()], &payload);
        format!("{target}&X-{vendor}-Signature={signature}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn encoded(bytes: &[u8], kept: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b) || kept.contains(b);
    let one = |b: &u8| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") };
    bytes.iter().map(one).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let (mut out, bytes) = (Vec::new(), text.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).and_then(|two| u8::from_str_radix(two, 16).ok());
        match (bytes[at], digits) {
            (b'%', Some(octet)) => {
                out.push(octet);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    out
}

/// A parameter as it is signed.
fn pair(sent: &str) -> String {
    let (name, value) = sent.split_once('=').unwrap_or((sent, ""));
    format!("{}={}", encoded(&decoded(name), b""), encoded(&decoded(value), b""))
}
