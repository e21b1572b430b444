//! Reads a curl line as the request that it sends.
use super::Asked;
use std::path::Path;

/// Options of curl that take a value and change nothing of what is signed.
const WITH_VALUE: &[&str] = &[
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--cacert",
    "--capath",
    "-w",
    "--write-out",
    "-D",
    "--dump-header",
    "-x",
    "--proxy",
    "--resolve",
    "--retry",
    "-E",
    "--cert",
    "--key",
];
/// Options of curl without a value that change nothing either.
const WITHOUT_VALUE: &[&str] = &[
    "-s",
    "--silent",
    "-S",
    "--show-error",
    "-v",
    "--verbose",
    "-i",
    "--include",
    "-k",
    "--insecure",
    "-L",
    "--location",
    "-f",
    "--fail",
    "--http1.1",
    "--http1.0",
    "--compressed",
    "-g",
    "--globoff",
    "--path-as-is",
    "-sS",
    "-sSL",
    "-si",
    "-sv",
    "-fsS",
];

/// Whether a text is a curl line.
pub(super) fn is_curl(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"$ ").unwrap_or(text);
    text.starts_with(b"curl") && text.get(4).is_some_and(u8::is_ascii_whitespace)
}

/// Takes a line apart as a shell does: quotes, escapes, continued lines. Nothing is substituted.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some('\n') => {}
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err("a double quote is not closed".to_owned()),
                        },
                        Some('$' | '`') => {
                            return Err("variables and commands in it are not known here".to_owned());
                        }
                        Some(c) => word.push(c),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some('\r') => drop(chars.next()),
                Some(c) => word.get_or_insert_default().push(c),
            },
            '$' | '`' => return Err("variables and commands in it are not known here".to_owned()),
            '|' | '>' | '<' | ';' => return Err(format!("`{c}` in it: paste the curl command alone")),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// What the options said so far.
#[derive(Default)]
struct Line {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<String>,
    data: Option<Vec<u8>>,
    get: bool,
    head: bool,
}

impl Line {
    fn add(&mut self, data: &[u8], between: &[u8]) {
        match &mut self.data {
            Some(there) => {
                there.extend_from_slice(between);
                there.extend_from_slice(data);
            }
            none => *none = Some(data.to_vec()),
        }
    }
}

/// The data that an option names: a text, or after `@` a file. `plain`: without the line ends of a file.
fn data(value: &str, may_name_a_file: bool, plain: bool) -> Result<Vec<u8>, String> {
    let Some(file) = value.strip_prefix('@').filter(|_| may_name_a_file) else {
        return Ok(value.as_bytes().to_vec());
    };
    let mut bytes = super::super::signing::read(Path::new(file)).map_err(|e| e.to_string())?;
    if plain {
        bytes.retain(|b| !matches!(b, b'\r' | b'\n' | 0));
    }
    Ok(bytes)
}

/// Reads the line.
///
/// # Errors
/// What in it can't be read, or is not known here.
pub(super) fn read(text: &str) -> Result<Asked, String> {
    let text = text.trim_start();
    let mut words = words(text.strip_prefix("$ ").unwrap_or(text))?.into_iter().skip(1);
    let mut line = Line::default();
    while let Some(word) = words.next() {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (word.clone(), None),
        };
        let mut value =
            || attached.clone().or_else(|| words.next()).ok_or(format!("{name} is without its value"));
        match name.as_str() {
            "-X" | "--request" => line.method = Some(value()?),
            "--url" => line.url = Some(value()?),
            "-H" | "--header" => line.headers.push(value()?),
            "-A" | "--user-agent" => line.headers.push(format!("User-Agent: {}", value()?)),
            "-e" | "--referer" => line.headers.push(format!("Referer: {}", value()?)),
            "-b" | "--cookie" => line.headers.push(format!("Cookie: {}", value()?)),
            "-d" | "--data" | "--data-ascii" => line.add(&data(&value()?, true, true)?, b"&"),
            "--data-binary" => line.add(&data(&value()?, true, false)?, b"&"),
            "--data-raw" => line.add(&data(&value()?, false, false)?, b"&"),
            "--json" => {
                line.add(&data(&value()?, true, false)?, b"");
                for header in ["Content-Type: application/json", "Accept: application/json"] {
                    let name = header.split(':').next().unwrap_or_default();
                    let has = |h: &String| h.split(':').next().is_some_and(|n| n.eq_ignore_ascii_case(name));
                    if !line.headers.iter().any(has) {
                        line.headers.push(header.to_owned());
                    }
                }
            }
            "-G" | "--get" => line.get = true,
            "-I" | "--head" => line.head = true,
            "--aws-sigv4" | "-u" | "--user" => {
                return Err(format!(
                    "with {name}, curl signs when it sends: add -v, and explain what it sent"
                ));
            }
            name if WITH_VALUE.contains(&name) => drop(value()?),
            name if WITHOUT_VALUE.contains(&name) => {}
            name if name.starts_with('-') => return Err(format!("the option {name} is not known here")),
            _ if line.url.is_none() => line.url = Some(word),
            _ => return Err(format!("`{word}`: there is a second address in it")),
        }
    }
    request(line)
}

fn request(mut line: Line) -> Result<Asked, String> {
    let url = line.url.take().ok_or("there is no address in it")?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(&url);
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(at);
    let mut target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    if line.get
        && let Some(data) = line.data.take()
    {
        let data = String::from_utf8(data).map_err(|_| "the data of -G is not text".to_owned())?;
        target = format!("{target}{}{data}", if target.contains('?') { '&' } else { '?' });
    }
    let implied = match (&line.data, line.head) {
        (_, true) => "HEAD",
        (Some(_), false) => "POST",
        (None, false) => "GET",
    };
    let method = line.method.as_deref().unwrap_or(implied);
    let named = |name: &str| {
        line.headers.iter().any(|h| h.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name)))
    };
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !named("host") {
        // curl leaves out the usual port.
        let usual = if url.starts_with("https://") { ":443" } else { ":80" };
        head += &format!("Host: {}\r\n", host.strip_suffix(usual).unwrap_or(host));
    }
    for header in &line.headers {
        let (name, value) = header.split_once(':').ok_or(format!("`{header}` is not a header field"))?;
        // A name without a value takes the field away.
        if !value.trim().is_empty() {
            head += &format!("{}: {}\r\n", name.trim(), value.trim());
        }
    }
    let body = line.data.unwrap_or_default();
    if !body.is_empty() && !named("content-length") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    Ok(Asked { head: head.into_bytes(), body: Some(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(line: &str) -> String {
        String::from_utf8(read(line).unwrap().head).unwrap()
    }

    #[test]
    fn a_curl_line_is_the_request_that_it_sends() {
        assert_eq!(head("curl http://h:80/a?b=1#c"), "GET /a?b=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(head("$ curl -s 'https://h:8443'"), "GET / HTTP/1.1\r\nHost: h:8443\r\n\r\n");
        let line = "curl -X PUT \\\n -H 'X: it'\\''s' --header=\"Y: \\\"q\\\"\" --data-raw @x https://h/p";
        let put = "PUT /p HTTP/1.1\r\nHost: h\r\nX: it's\r\nY: \"q\"\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(head(line), put);
        assert_eq!(read(line).unwrap().body.as_deref(), Some(b"@x".as_slice()));
        assert_eq!(head("curl -G -d a=1 -d b=2 h/p?c"), "GET /p?c&a=1&b=2 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(head("curl -I h"), "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(head("curl --json {} h").contains("Content-Type: application/json\r\n"));
        assert!(
            is_curl(b"  curl x") && is_curl(b"$ curl x") && !is_curl(b"curly") && !is_curl(b"GET / HTTP/1.1")
        );
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (line, word) in [
            ("curl", "no address"),
            ("curl 'h", "single quote"),
            ("curl \"h", "double quote"),
            ("curl $URL", "variables"),
            ("curl h | jq", "alone"),
            ("curl h i", "second address"),
            ("curl -H", "-H is without"),
            ("curl --unheard-of h", "--unheard-of"),
            ("curl --aws-sigv4 aws:amz h", "signs when it sends"),
            ("curl -H nothing h", "not a header field"),
        ] {
            let told = read(line).err().unwrap_or_default();
            assert!(told.contains(word), "{line}: {told}");
        }
    }
}
