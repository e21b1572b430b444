//! JSON in which no object names a member twice: of two readers, one takes the first and one the last.
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Objects and lists within each other; a token needs two, a set of keys four.
const MAX_DEPTH: usize = 5;
/// Members of one object. They are compared with each other.
const MAX_MEMBERS: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// A whole number, written as one.
    Whole(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object.
    Object(Object<'a>),
    /// Nothing that a token or key has a use for: `null`, truth, other numbers.
    Other,
}

/// An object. Its members are named once each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Reads an object, and that nothing but white space stands around it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Object<'a>> {
        let mut text = serde_json::Deserializer::from_slice(bytes);
        let Ok(Json::Object(object)) = (Level { deep: 0 }).deserialize(&mut text) else { return None };
        text.end().ok().map(|()| object)
    }

    /// The member of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Whether there is a member of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text of that name.
    ///
    /// # Errors
    /// The name, where something else than text stands there.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, &'static str> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(name),
        }
    }
}

impl Json<'_> {
    /// The texts of a list of nothing else.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        let Json::List(list) = self else { return None };
        list.iter().map(|item| if let Json::Text(text) = item { Some(&**text) } else { None }).collect()
    }
}

/// A value so deep within others.
#[derive(Clone, Copy)]
struct Level {
    deep: usize,
}

impl Level {
    fn deeper<E: Error>(self) -> Result<Level, E> {
        if self.deep >= MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Level { deep: self.deep + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json<'de>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<Json<'de>, E> {
        Ok(Json::Whole(n))
    }
    fn visit_u64<E: Error>(self, n: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(n).map_or(Json::Other, Json::Whole))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json<'de>, A::Error> {
        let deeper = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = from.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json<'de>, A::Error> {
        let deeper = self.deeper()?;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(name) = from.next_key_seed(Name)? {
            if members.len() >= MAX_MEMBERS || members.iter().any(|(n, _)| *n == name) {
                return Err(A::Error::custom("too many members, or one that is named twice"));
            }
            members.push((name, from.next_value_seed(deeper)?));
        }
        Ok(Json::Object(Object(members)))
    }
}

/// The name of a member, as it reads once escapes are undone.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_as_they_stand() {
        let text = br#" { "a" : 1, "b":["x","\u0079"], "c":{"a":-5}, "d":null } "#;
        let object = Object::read(text).unwrap();
        assert_eq!(object.get("a"), Some(&Json::Whole(1)));
        assert_eq!(object.get("b").unwrap().texts(), Some(vec!["x", "y"]));
        let Some(Json::Object(inner)) = object.get("c") else { panic!("c is an object") };
        assert_eq!(inner.get("a"), Some(&Json::Whole(-5)));
        assert!(object.has("d") && !object.has("e"));
        assert_eq!((object.text("e"), object.text("d")), (Ok(None), Err("d")));
    }

    /// S7519-1: whoever reads the first of two and whoever reads the last must not read different tokens.
    #[test]
    fn a_member_is_named_once_at_every_level() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"o":{"a":1,"a":2}}"#,
            r#"{"o":[0,{"a":1,"a":2}]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(Object::read(bad.as_bytes()), None, "{bad}");
        }
        assert!(Object::read(br#"{"a":{"a":1},"A":2,"a ":3}"#).is_some());
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for bad in [
            "",
            " ",
            "1",
            "null",
            "[]",
            "\"a\"",
            "{",
            "{}{}",
            "{} x",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":1e400}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            "{/**/}",
            "{1:2}",
            "{\"a\" 1}",
        ] {
            assert_eq!(Object::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Object::read(b"{\"a\":\"\xff\"}"), None, "not UTF-8");
        assert_eq!(Object::read(b"{\"\xc0\xaf\":1}"), None, "not UTF-8 in a name");
    }

    #[test]
    fn depth_and_members_are_bounded() {
        let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
        assert!(Object::read(deep(MAX_DEPTH).as_bytes()).is_some());
        assert!(Object::read(deep(MAX_DEPTH + 1).as_bytes()).is_none());
        let lists = format!("{{\"a\":{}{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(Object::read(lists.as_bytes()).is_none());
        let wide = |n: usize| {
            let all: Vec<_> = (0..n).map(|i| format!("\"{i}\":0")).collect();
            format!("{{{}}}", all.join(","))
        };
        assert!(Object::read(wide(MAX_MEMBERS).as_bytes()).is_some());
        assert!(Object::read(wide(MAX_MEMBERS + 1).as_bytes()).is_none());
    }

    /// S7519-1: only what is written as a whole number is one.
    #[test]
    fn numbers_are_whole_or_of_no_use() {
        let read = |n: &str| {
            let text = format!("{{\"a\":{n}}}");
            match Object::read(text.as_bytes())?.get("a")? {
                Json::Whole(n) => Some(Json::Whole(*n)),
                other => (*other == Json::Other).then_some(Json::Other),
            }
        };
        assert_eq!(read("0"), Some(Json::Whole(0)));
        assert_eq!(read("9223372036854775807"), Some(Json::Whole(i64::MAX)));
        for other in ["1.0", "1e3", "1E0", "-0", "9223372036854775808", "1e300", "true", "null"] {
            assert_eq!(read(other), Some(Json::Other), "{other}");
        }
    }
}
