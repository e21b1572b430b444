//! Which route a request is for: host, path, method.
use super::RouteId;
use crate::dialect::ErrorStyle;
use crate::path::{self, Habits};
use std::collections::HashMap;
use std::fmt;

/// Longest template, in segments.
const MAX_TEMPLATE_SEGMENTS: usize = 32;

/// The path of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    Any,
}

fn parameter_name(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

impl Template {
    /// Reads `/v1/things/{id}` or `/v1/things/*`.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(text: &str) -> Result<Template, String> {
        let Some(inner) = text.strip_prefix('/') else { return Err(format!("`{text}` must start with `/`")) };
        let (inner, rest) = match inner.strip_suffix('*') {
            Some("") => ("", true),
            Some(before) => match before.strip_suffix('/') {
                Some(before) => (before, true),
                None => return Err(format!("`{text}`: `*` stands for whole segments and comes after a `/`")),
            },
            None => (inner, false),
        };
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let mut segments = Vec::new();
        for s in inner.split('/').filter(|_| !inner.is_empty()) {
            if s.strip_prefix('{').and_then(|s| s.strip_suffix('}')).is_some_and(parameter_name) {
                segments.push(Segment::Any);
            } else if s == "*" {
                return Err(format!(
                    "`{text}`: `*` can only be the last segment; for one segment write {{name}}"
                ));
            } else if s.is_empty() || s == "." || s == ".." {
                return Err(format!("`{text}` has an empty or dot segment"));
            } else if s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&b)) {
                segments.push(Segment::Literal(s.to_owned()));
            } else {
                return Err(format!(
                    "`{text}`: `{s}` has characters that a path segment can't have unescaped"
                ));
            }
        }
        if segments.len() > MAX_TEMPLATE_SEGMENTS {
            return Err(format!("`{text}` has more than {MAX_TEMPLATE_SEGMENTS} segments"));
        }
        Ok(Template { text: text.to_owned(), segments, rest })
    }

    /// As it was written; nothing in it needs escaping in JSON or in a header field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether two templates stand for the same paths.
    #[must_use]
    pub fn same_paths(&self, other: &Template) -> bool {
        self.segments == other.segments && self.rest == other.rest
    }
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The methods of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Box<[Box<str>]>);

impl Methods {
    /// Reads names of methods; GET brings HEAD with it.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Methods, String> {
        let mut all: Vec<Box<str>> = Vec::new();
        for name in names {
            if name.is_empty()
                || name.len() > 32
                || !name.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
            {
                return Err(format!("`{name}` is not a method; methods are written in capitals"));
            }
            if matches!(name, "TRACE" | "CONNECT") {
                return Err(format!("{name} is never let through"));
            }
            all.push(name.into());
        }
        if all.iter().any(|m| **m == *"GET") && !all.iter().any(|m| **m == *"HEAD") {
            all.push("HEAD".into());
        }
        all.sort_unstable();
        all.dedup();
        if all.is_empty() {
            Err("a route takes at least one method".to_owned())
        } else {
            Ok(Methods(all.into()))
        }
    }

    /// Whether `method` is one of them.
    #[must_use]
    pub fn has(&self, method: &[u8]) -> bool {
        self.0.iter().any(|m| m.as_bytes() == method)
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|m| &**m)
    }
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted: a path has few segments, and comparing a few texts costs less than hashing one.
    literals: Vec<(Box<[u8]>, usize)>,
    /// The same as servers compare them that know no capitals; sorted by that.
    folded: Vec<(Box<[u8]>, usize)>,
    any: Option<usize>,
    /// Routes whose template ends here.
    here: Vec<RouteId>,
    /// Routes whose template ends here with `*`.
    rest: Vec<RouteId>,
    /// The shape of errors of the routes here and below.
    style: Style,
}

impl Node {
    fn literal(&self, segment: &[u8]) -> Option<usize> {
        let at = self.literals.binary_search_by(|(text, _)| (**text).cmp(segment)).ok()?;
        Some(self.literals[at].1)
    }

    fn add_literal(&mut self, segment: &[u8], node: usize) {
        let at = self.literals.partition_point(|(text, _)| **text < *segment);
        self.literals.insert(at, (segment.into(), node));
        let folded = path::folded(segment);
        let at = self.folded.partition_point(|(text, _)| **text <= *folded);
        self.folded.insert(at, (folded[..].into(), node));
    }

    /// The literals that some servers take a segment for, apart from the one that it is.
    fn alike(&self, segment: &[u8]) -> impl Iterator<Item = usize> {
        let folded = if self.folded.is_empty() { Default::default() } else { path::folded(segment) };
        let itself = self.literal(segment);
        let from = self.folded.partition_point(|(text, _)| **text < *folded);
        let same = self.folded[from..].iter().take_while(move |(text, _)| **text == *folded);
        same.map(|(_, node)| *node).filter(move |node| Some(*node) != itself)
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum Style {
    #[default]
    Nobody,
    All(ErrorStyle),
    Several,
}

impl Style {
    fn and(self, other: ErrorStyle) -> Style {
        match self {
            Style::Nobody => Style::All(other),
            Style::All(style) if style == other => self,
            Style::All(_) | Style::Several => Style::Several,
        }
    }
}

/// A tree of segments for each host that some API names, and one for all hosts.
#[derive(Debug, Default)]
pub struct Routes {
    nodes: Vec<Node>,
    hosts: HashMap<Box<str>, usize>,
    any_host: Option<usize>,
}

impl Routes {
    fn node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Adds a route under a host, or under every host, with the shape of its errors. Gives back the routes that have the
    /// very same paths already.
    pub fn add(
        &mut self,
        host: Option<&str>,
        template: &Template,
        id: RouteId,
        style: ErrorStyle,
    ) -> &[RouteId] {
        let root = match host {
            Some(h) => self.hosts.get(h).copied(),
            None => self.any_host,
        };
        let mut at = root.unwrap_or_else(|| {
            let n = self.node();
            match host {
                Some(h) => drop(self.hosts.insert(h.into(), n)),
                None => self.any_host = Some(n),
            }
            n
        });
        self.nodes[at].style = self.nodes[at].style.and(style);
        for segment in &template.segments {
            let next = match segment {
                Segment::Literal(s) => self.nodes[at].literal(s.as_bytes()),
                Segment::Any => self.nodes[at].any,
            };
            at = next.unwrap_or_else(|| {
                let n = self.node();
                match segment {
                    Segment::Literal(s) => self.nodes[at].add_literal(s.as_bytes(), n),
                    Segment::Any => self.nodes[at].any = Some(n),
                }
                n
            });
            self.nodes[at].style = self.nodes[at].style.and(style);
        }
        let leaf = if template.rest { &mut self.nodes[at].rest } else { &mut self.nodes[at].here };
        leaf.push(id);
        &leaf[..leaf.len() - 1]
    }

    /// `alike` is told whether a name was passed by that some servers take for one of the segments.
    fn descend<S: AsRef<[u8]>>(&self, at: usize, segments: &[S], alike: &mut bool) -> Option<&[RouteId]> {
        let node = &self.nodes[at];
        let Some((first, below)) = segments.split_first() else {
            return [&node.here, &node.rest].into_iter().find(|l| !l.is_empty()).map(Vec::as_slice);
        };
        let literal = node.literal(first.as_ref());
        if let Some(found) = literal.and_then(|n| self.descend(n, below, alike)) {
            return Some(found);
        }
        *alike |= !node.folded.is_empty() && node.alike(first.as_ref()).next().is_some();
        let any = node.any.filter(|_| !first.as_ref().is_empty());
        any.and_then(|n| self.descend(n, below, alike))
            .or_else(|| Some(node.rest.as_slice()).filter(|l| !l.is_empty()))
    }

    /// The same for a server that takes names for each other that differ in their capitals alone.
    fn descend_folding(&self, at: usize, segments: &[&[u8]]) -> Option<&[RouteId]> {
        let node = &self.nodes[at];
        let Some((first, below)) = segments.split_first() else {
            return self.descend(at, segments, &mut false);
        };
        let mut named = node.literal(first).into_iter().chain(node.alike(first));
        named
            .find_map(|n| self.descend_folding(n, below))
            .or_else(|| node.any.and_then(|n| self.descend_folding(n, below)))
            .or_else(|| Some(node.rest.as_slice()).filter(|l| !l.is_empty()))
    }

    /// The routes at the most specific template that fits: literals before names before `*`, from the left. What fits
    /// under the request's own host comes before what fits under every host.
    fn find<'a>(
        &'a self,
        host: &str,
        mut below: impl FnMut(usize) -> Option<&'a [RouteId]>,
    ) -> &'a [RouteId] {
        let own = self.hosts.get(host).and_then(|n| below(*n));
        own.or_else(|| self.any_host.and_then(below)).unwrap_or_default()
    }

    /// The routes for a path as it was sent, and whether some servers could take one of its names for another that some
    /// route has.
    #[must_use]
    pub fn as_sent(&self, host: &str, sent: &[u8]) -> (&[RouteId], bool) {
        let (segments, mut alike) = (path::segments(sent), false);
        let found = self.find(host, |n| self.descend(n, &segments, &mut alike));
        (found, alike)
    }

    /// The routes for a path as a lenient upstream might read it: one that compares names as they are, and one that takes
    /// them for each other as [`path::folded`] does.
    #[must_use]
    pub fn as_read_leniently(&self, host: &str, sent: &[u8], habits: Habits) -> [&[RouteId]; 2] {
        let reading = path::lenient_segments(sent, habits);
        let segments = reading.segments();
        let exactly = self.find(host, |n| self.descend(n, &segments, &mut false));
        [exactly, self.find(host, |n| self.descend_folding(n, &segments))]
    }

    /// The shape of errors for a path that no route has: that of the routes it comes closest to, where they agree.
    #[must_use]
    pub fn style_near(&self, host: &str, sent: &[u8]) -> Option<ErrorStyle> {
        let mut at = self.hosts.get(host).copied().or(self.any_host)?;
        for segment in path::segments(sent) {
            let node = &self.nodes[at];
            match node.literal(segment).or(node.any) {
                Some(next) => at = next,
                None => break,
            }
        }
        match self.nodes[at].style {
            Style::All(style) => Some(style),
            Style::Nobody | Style::Several => None,
        }
    }

    /// Whether some API names hosts, so that the request's host matters.
    #[must_use]
    pub fn hosts_matter(&self) -> bool {
        !self.hosts.is_empty()
    }
}

/// The name that routes are found by: lower case, without port and trailing dot.
#[must_use]
pub fn host_name(host: &[u8]) -> String {
    let text = String::from_utf8_lossy(host).to_ascii_lowercase();
    let end = text.rfind(':').filter(|i| !text[*i..].contains(']')).unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
