//! Reads what operators write (TOML) and keeps on reading after a mistake, so that all of them are told at once, each
//! with its line.
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, counted from 1; 0 where no line can be told.
    pub line: usize,
    /// Where in the document, as in `api[0].route[2].path`; empty where the document does not parse.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// `line 12, api[0].dialect: ...`
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}", self.line)?;
        }
        if !self.place.is_empty() {
            write!(f, "{}{}", if self.line > 0 { ", " } else { "" }, self.place)?;
        }
        write!(f, "{}{}", if self.line > 0 || !self.place.is_empty() { ": " } else { "" }, self.message)
    }
}

/// A parsed document and the mistakes found in it so far.
pub struct Document<'t> {
    /// Where each line but the first begins.
    lines: Vec<usize>,
    root: DeTable<'t>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Document<'t> {
    /// Parses a document.
    ///
    /// # Errors
    /// What is not TOML, with its line.
    pub fn parse(text: &'t str) -> Result<Document<'t>, Vec<Mistake>> {
        match DeTable::parse(text) {
            Ok(root) => {
                let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
                let lines = newlines.map(|(at, _)| at + 1).collect();
                Ok(Document { lines, root: root.into_inner(), mistakes: RefCell::default() })
            }
            Err(e) => {
                let line = e.span().map_or(0, |s| line_of(text, s.start));
                Err(vec![Mistake { line, place: String::new(), message: e.message().to_owned() }])
            }
        }
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at) + 1
    }

    /// The outermost table.
    #[must_use]
    pub fn root(&self) -> Table<'_, 't> {
        Table {
            document: self,
            table: &self.root,
            place: String::new(),
            line: 1,
            taken: RefCell::default(),
            failed: Cell::new(false),
        }
    }

    /// Adds a mistake that was found elsewhere, for instance between two objects.
    pub fn mistake(&self, line: usize, place: impl Into<String>, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { line, place: place.into(), message: message.into() });
    }

    /// All mistakes, in the order of their lines.
    #[must_use]
    pub fn finish(self) -> Vec<Mistake> {
        let mut all = self.mistakes.into_inner();
        all.sort_by_key(|m| m.line);
        all
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// A table being read. What nobody asked for by the time of [`Table::finish`] is a mistake.
pub struct Table<'d, 't> {
    document: &'d Document<'t>,
    table: &'d DeTable<'t>,
    place: String,
    line: usize,
    taken: RefCell<HashSet<String>>,
    failed: Cell<bool>,
}

/// A value with the place it was read from.
pub struct Entry<'d, 't> {
    document: &'d Document<'t>,
    value: &'d Spanned<DeValue<'t>>,
    place: String,
}

impl<'d> Entry<'d, '_> {
    /// Its line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.document.line_of(self.value.span().start)
    }
    /// Notes a mistake about this value.
    pub fn wrong(&self, message: impl Into<String>) {
        self.document.mistake(self.line(), self.place.clone(), message);
    }
    /// Whether it is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }
    /// Whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }
    /// How many entries a list has; 0 where it is none.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.get_ref().as_array().map_or(0, |items| items.len())
    }
    /// Whether it is an empty list, or none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn expected<T>(&self, what: &str) -> Option<T> {
        self.wrong(format!("expected {what}, found {}", kind(self.value.get_ref())));
        None
    }
    fn text(&self) -> Option<&'d str> {
        match self.value.get_ref() {
            DeValue::String(s) => Some(s),
            _ => self.expected("a string"),
        }
    }
    /// The string made into something else by `parse`, whose error is the mistake.
    pub fn parse<T>(&self, parse: impl FnOnce(&'d str) -> Result<T, String>) -> Option<T> {
        let text = self.text()?;
        parse(text).map_err(|e| self.wrong(e)).ok()
    }
}

fn kind(v: &DeValue<'_>) -> &'static str {
    match v {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'d, 't> Table<'d, 't> {
    /// The line its header stands on.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
    /// Where this table is, as in `api[0]`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
    /// Notes a mistake about the table as a whole.
    pub fn wrong(&self, message: impl Into<String>) {
        self.failed.set(true);
        self.document.mistake(self.line, self.place.clone(), message);
    }
    fn below(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
    /// The value under `key`, where there is one.
    pub fn entry(&self, key: &str) -> Option<Entry<'d, 't>> {
        self.taken.borrow_mut().insert(key.to_owned());
        let value = self.table.get(key)?;
        Some(Entry { document: self.document, value, place: self.below(key) })
    }
    /// An optional string made into something by `parse`.
    pub fn parsed<T>(&self, key: &str, parse: impl FnOnce(&'d str) -> Result<T, String>) -> Option<T> {
        self.entry(key)?.parse(parse)
    }
    /// An optional string.
    pub fn string(&self, key: &str) -> Option<String> {
        self.parsed(key, |s| Ok(s.to_owned()))
    }
    /// A string that must be there, made into something by `parse`.
    pub fn required<T>(&self, key: &str, parse: impl FnOnce(&'d str) -> Result<T, String>) -> Option<T> {
        match self.entry(key) {
            Some(e) => e.parse(parse),
            None => {
                self.wrong(format!("`{key}` is missing"));
                None
            }
        }
    }
    /// An optional `true` or `false`.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        let e = self.entry(key)?;
        e.value.get_ref().as_bool().or_else(|| e.expected("true or false"))
    }
    /// An optional whole number within a range.
    pub fn integer(&self, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let e = self.entry(key)?;
        let Some(i) = e.value.get_ref().as_integer() else { return e.expected("a whole number") };
        match u64::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) if range.contains(&n) => Some(n),
            _ => {
                e.wrong(format!("must be from {} to {}", range.start(), range.end()));
                None
            }
        }
    }
    /// An optional list of strings, each made into something by `parse`; `None` where the key is absent.
    pub fn list<T>(&self, key: &str, mut parse: impl FnMut(&'d str) -> Result<T, String>) -> Option<Vec<T>> {
        let e = self.entry(key)?;
        let Some(items) = e.value.get_ref().as_array() else { return e.expected("a list of strings") };
        let at = |i: usize| format!("{}[{i}]", e.place);
        let items = items.iter().enumerate();
        Some(
            items
                .filter_map(|(i, value)| {
                    Entry { document: self.document, value, place: at(i) }.parse(&mut parse)
                })
                .collect(),
        )
    }
    fn sub(&self, value: &'d Spanned<DeValue<'t>>, place: String) -> Option<Table<'d, 't>> {
        let e = Entry { document: self.document, value, place };
        let line = e.line();
        match value.get_ref() {
            DeValue::Table(table) => {
                let (taken, failed) = (RefCell::default(), Cell::new(false));
                Some(Table { document: self.document, table, place: e.place, line, taken, failed })
            }
            _ => e.expected("a table"),
        }
    }
    /// An optional table below this one.
    pub fn table(&self, key: &str) -> Option<Table<'d, 't>> {
        let e = self.entry(key)?;
        self.sub(e.value, e.place)
    }
    /// The tables of an array of tables; none where the key is absent.
    pub fn tables(&self, key: &str) -> Vec<Table<'d, 't>> {
        let Some(e) = self.entry(key) else { return Vec::new() };
        let Some(items) = e.value.get_ref().as_array() else {
            e.wrong(format!("expected tables, written [[{}]]", e.place));
            return Vec::new();
        };
        items.iter().enumerate().filter_map(|(i, v)| self.sub(v, format!("{}[{i}]", e.place))).collect()
    }
    /// Every key nobody asked for is a mistake.
    pub fn finish(self) {
        let taken = self.taken.borrow();
        for key in self.table.keys().filter(|k| !taken.contains(k.get_ref().as_ref())) {
            let mut known: Vec<_> = taken.iter().map(String::as_str).collect();
            known.sort_unstable();
            let line = self.document.line_of(key.span().start);
            let message = format!("there is no such setting; known here: {}", known.join(", "));
            self.document.mistake(line, self.below(key.get_ref()), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "name = 3\n[a]\nport = 70000\nlist = [\"x\", 1]\nodd = true\n[[b]]\nid = \"one\"\n[[b]]\n";
        let d = Document::parse(text).unwrap();
        let root = d.root();
        assert_eq!(root.string("name"), None);
        let a = root.table("a").unwrap();
        assert_eq!(a.integer("port", 1..=65_535), None);
        assert_eq!(a.list("list", |s| Ok(s.to_owned())).unwrap(), ["x"]);
        a.finish();
        for b in root.tables("b") {
            b.required("id", |s| Ok(s.to_owned()));
            b.finish();
        }
        root.finish();
        let told: Vec<String> = d.finish().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 1, name: expected a string, found a whole number",
                "line 3, a.port: must be from 1 to 65535",
                "line 4, a.list[1]: expected a string, found a whole number",
                "line 5, a.odd: there is no such setting; known here: list, port",
                "line 8, b[1]: `id` is missing",
            ]
        );
        assert_eq!(Document::parse("a = 1\nb = = 2").err().unwrap()[0].line, 2);
    }
}
