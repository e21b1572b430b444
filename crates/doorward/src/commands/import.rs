//! `doorward credential import`: lines of JSON, read twice. First every mistake is looked for; then all is written, a batch
//! at a time.
use super::{ACTOR, print};
use crate::cli;
use crate::{Failure, place, random};
use doorward_control::actions::credentials::BATCH;
use doorward_control::actions::import::{self, Done, Line};
use doorward_control::actions::{Import, OwnWanted, Password, Showing, Wanted};
use doorward_core::credential::{Kind, SchemeName, Status};
use doorward_core::dialect::Dialect;
use doorward_core::time::UnixMillis;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _};
use std::path::Path;

/// Longest line, in bytes: more than a hundred origins and all scopes take.
const MAX_LINE_BYTES: usize = 65_536;
/// Most mistakes that are told one by one.
const MOST_TOLD: usize = 1_000;
/// What `create --json` prints besides, and what is worked out anew.
const IGNORED: [&str; 4] = ["weak", "created_at", "last_used", "exposed_at"];

pub(super) async fn run(options: &cli::Import) -> Result<(), Failure> {
    let told = |e: io::Error| format!("{}: {e}", options.file.display());
    let mut source = Source::open(&options.file).map_err(told)?;
    let opened = place::open(&options.place).await?;
    let (mut mistakes, mut seen, mut lines) = (Mistakes::default(), HashMap::new(), 0);
    while let Some(batch) = source.batch().map_err(told)? {
        let mut good = Vec::new();
        for (number, text) in batch {
            lines += 1;
            match line(number, &text) {
                Err(wrong) => mistakes.add(wrong),
                Ok(line) => {
                    let id = line.wanted.import.as_ref().map(|i| i.id.clone()).unwrap_or_default();
                    match seen.insert(id, number) {
                        None => good.push(line),
                        Some(first) => {
                            mistakes.add(vec![format!("line {number}: line {first} has the same id")])
                        }
                    }
                }
            }
        }
        mistakes.add(import::check(opened.desk(ACTOR), &good).await?);
    }
    drop(seen);
    mistakes.none()?;

    source.again().map_err(told)?;
    let mut done = Done::default();
    let stopped = |done: Done, why: Failure| {
        let so_far = done.created + done.there;
        format!(
            "{why}\n{so_far} of {lines} credentials are in, and stay; once this is put right, run the same again"
        )
    };
    while let Some(batch) = source.batch().map_err(told)? {
        let read: Result<Vec<Line>, Vec<String>> = batch.iter().map(|(n, text)| line(*n, text)).collect();
        let read = read.map_err(|wrong| stopped(done, wrong.join("\n").into()))?;
        let some = import::write(opened.desk(ACTOR), &read, &mut random::fill).await;
        let some = some.map_err(|e| stopped(done, e.into()))?;
        done.created += some.created;
        done.there += some.there;
    }
    if options.output.json {
        return Ok(print::json(&serde_json::json!({ "created": done.created, "there": done.there }))?);
    }
    let there = match done.there {
        0 => String::new(),
        n => format!("; {n} were there already"),
    };
    Ok(print::line(format_args!("{} credentials were taken over{there}", done.created))?)
}

/// What is wrong, in the order of the lines within each batch.
#[derive(Default)]
struct Mistakes {
    told: Vec<String>,
    more: usize,
}

impl Mistakes {
    fn add(&mut self, mut wrong: Vec<String>) {
        let room = MOST_TOLD - self.told.len();
        self.more += wrong.len().saturating_sub(room);
        wrong.truncate(room);
        self.told.append(&mut wrong);
    }

    /// All of them, as the reason why nothing is written.
    fn none(mut self) -> Result<(), Failure> {
        if self.told.is_empty() {
            return Ok(());
        }
        // Each begins with `line N:`.
        let number = |told: &String| told[5..].split(':').next().and_then(|n| n.parse::<usize>().ok());
        self.told.sort_by_key(number);
        if self.more > 0 {
            self.told.push(format!("... and {} more mistakes", self.more));
        }
        self.told.push("nothing was written".to_owned());
        Err(self.told.join("\n").into())
    }
}

/// A line with its number, which counts from 1.
type Numbered = (usize, Vec<u8>);

/// Lines that can be read twice: a file, or what came by a pipe and is kept.
struct Source {
    from: From,
    number: usize,
}

enum From {
    File(BufReader<File>),
    Kept(io::Cursor<Vec<u8>>),
}

impl Source {
    fn open(file: &Path) -> io::Result<Source> {
        let mut kept = Vec::new();
        let from = if file == Path::new("-") {
            io::stdin().lock().read_to_end(&mut kept)?;
            From::Kept(io::Cursor::new(kept))
        } else {
            let mut opened = File::open(file)?;
            if opened.metadata()?.is_file() {
                From::File(BufReader::new(opened))
            } else {
                opened.read_to_end(&mut kept)?;
                From::Kept(io::Cursor::new(kept))
            }
        };
        Ok(Source { from, number: 0 })
    }

    /// Back to the beginning.
    fn again(&mut self) -> io::Result<()> {
        self.number = 0;
        match &mut self.from {
            From::File(file) => file.rewind(),
            From::Kept(kept) => kept.rewind(),
        }
    }

    /// The next lines with their numbers, without empty ones; `None` at the end.
    fn batch(&mut self) -> io::Result<Option<Vec<Numbered>>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let mut text = Vec::new();
            let reader: &mut dyn BufRead = match &mut self.from {
                From::File(file) => file,
                From::Kept(kept) => kept,
            };
            if reader.take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            self.number += 1;
            if text.len() > MAX_LINE_BYTES {
                let why = format!("line {} has more than {MAX_LINE_BYTES} bytes", self.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            if !text.trim_ascii().is_empty() {
                batch.push((self.number, text));
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

/// Reads a line. What is wrong with it is told without what stands in it: that may be a secret.
fn line(number: usize, text: &[u8]) -> Result<Line, Vec<String>> {
    let fields = serde_json::from_slice::<Map<String, Value>>(text).map_err(|e| {
        let at = e.column();
        vec![match e.classify() {
            serde_json::error::Category::Data => format!("line {number}: it is no JSON object"),
            _ => format!("line {number}: it is no JSON (at character {at})"),
        }]
    })?;
    let mut fields = Fields { fields, wrong: Vec::new() };
    let kind = fields.named("kind", Kind::parse);
    let workspace = fields.needed("workspace");
    let id = fields.needed("id");
    let secret = fields.text("secret");
    let dialect = fields.named("dialect", Dialect::parse);
    let status = fields.named("status", Status::parse).unwrap_or(Status::Active);
    let name = fields.text("name").unwrap_or_default();
    let (plain_key, password_grant) = (fields.flag("plain_key"), fields.flag("password_grant"));
    let (secret, password) = match kind.is_some_and(Kind::has_password) {
        true => (None, secret.map(Password::new)),
        false => (secret, None),
    };
    let (origins, scopes) = (fields.texts("origins"), fields.texts("scopes"));
    let own = OwnWanted {
        role: fields.text("role"),
        networks: fields.optional_texts("networks"),
        limit: fields.text("limit"),
    };
    let expires_at = fields.named("expires_at", |text| {
        UnixMillis::parse(text).ok_or_else(|| "write it as 2026-12-31T00:00:00Z".to_owned())
    });
    if let (Some(scheme), Some(kind)) = (fields.text("scheme"), kind)
        && let like = (Wanted { dialect, plain_key, ..Wanted::new("", kind) })
        && let Some(uses) = like.scheme().map(SchemeName::name)
        && scheme != uses
    {
        fields.wrong.push(format!("`scheme`: a {} credential of its dialect uses {uses}", kind.name()));
    }
    if kind.is_none() && !fields.wrong.iter().any(|w| w.starts_with("`kind`")) {
        fields.wrong.push("`kind` is missing".to_owned());
    }
    fields.rest();
    match kind {
        Some(kind) if fields.wrong.is_empty() => Ok(Line {
            number,
            wanted: Wanted {
                workspace,
                kind,
                dialect,
                name,
                plain_key,
                origins,
                scopes,
                own,
                expires_at,
                import: Some(Import { id, secret }),
                password,
                password_grant,
                showing: Showing::ByDialect,
            },
            status,
        }),
        _ => Err(fields.wrong.into_iter().map(|what| format!("line {number}: {what}")).collect()),
    }
}

/// The fields of a line, each taken once.
struct Fields {
    fields: Map<String, Value>,
    wrong: Vec<String>,
}

impl Fields {
    /// What was not written, and what is `null`, is not there.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.wrong.push(format!("`{name}` is no text"));
                None
            }
        }
    }

    fn needed(&mut self, name: &str) -> String {
        let wrong = self.wrong.len();
        self.text(name).unwrap_or_else(|| {
            if self.wrong.len() == wrong {
                self.wrong.push(format!("`{name}` is missing"));
            }
            String::new()
        })
    }

    fn named<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|e| self.wrong.push(format!("`{name}`: {e}"))).ok()
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.take(name) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.wrong.push(format!("`{name}` is neither true nor false"));
                false
            }
        }
    }

    /// A list, which says something else when it is empty than when it is not there.
    fn optional_texts(&mut self, name: &str) -> Option<Vec<String>> {
        let there = self.fields.get(name).is_some_and(|value| !value.is_null());
        let texts = self.texts(name);
        there.then_some(texts)
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.into_iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
            }
            Some(_) => {
                self.wrong.push(format!("`{name}` is no list of texts"));
                Vec::new()
            }
        }
    }

    fn rest(&mut self) {
        for name in self.fields.keys().filter(|name| !IGNORED.contains(&name.as_str())) {
            self.wrong.push(format!("there is no field `{}`", name.escape_debug()));
        }
    }
}
