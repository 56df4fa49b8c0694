//! YAML as far as a manifest needs it: what JSON can say as well. No anchors that multiply, no tags, no merged maps, no
//! directives; a key that appears twice is an error, since one of the two would silently win.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::MANIFEST_MAX;

/// The most opening brackets and braces. The scanner's work grows with their depth times the length of the text.
const FLOW_MAX: usize = 1024;
/// What all values together may cost: one for each, and one for each byte of text. Only aliases can exceed it.
const COST_MAX: usize = 2 * MANIFEST_MAX;

/// Reads a text of at most [`MANIFEST_MAX`] bytes.
///
/// # Errors
/// It is no such YAML; the reason, with its place where there is one.
pub(super) fn read(text: &str) -> Result<Value, String> {
    if text.bytes().filter(|byte| b"[{".contains(byte)).count() > FLOW_MAX {
        return Err(format!("it has more than {FLOW_MAX} opening brackets"));
    }
    // Directives take the scanner a time that grows with the square of their number.
    if text.lines().any(|line| line.starts_with('%')) {
        return Err("directives (lines that start with `%`) are refused".to_owned());
    }
    if text.lines().any(has_global_tag) {
        return Err("tags (`!!...` and `!<...>`) are refused".to_owned());
    }
    let cost = Cell::new(0);
    let node = Node { cost: &cost };
    node.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| error.to_string())
}

/// Whether a value of the line has a tag that the deserializer would pass over in silence (it refuses those of one `!`):
/// other readers of YAML would make something else of the value.
fn has_global_tag(line: &str) -> bool {
    let begins_value = |before: &str| {
        let before = before.trim_end();
        before.is_empty() || before.ends_with([':', '-', '[', ',', '{', '?']) || last_word(before).starts_with('&')
    };
    let tags = line.match_indices("!!").chain(line.match_indices("!<"));
    tags.map(|(at, _)| &line[..at]).any(begins_value)
}

fn last_word(text: &str) -> &str {
    text.rsplit([' ', '\t']).next().unwrap_or_default()
}

/// Reads one value and adds up what all of them cost.
#[derive(Clone, Copy)]
struct Node<'a> {
    cost: &'a Cell<usize>,
}

impl Node<'_> {
    fn pay<E: Error>(self, bytes: usize) -> Result<(), E> {
        let cost = self.cost.get().saturating_add(1).saturating_add(bytes);
        self.cost.set(cost);
        if cost > COST_MAX { Err(E::custom("aliases make it too large")) } else { Ok(()) }
    }

    fn scalar<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.pay(0)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is finite"))?;
        self.scalar(number)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.pay(value.len())?;
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.pay(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.pay(0)?;
        let (mut map, mut seen) = (Map::new(), BTreeSet::new());
        while let Some(key) = entries.next_key_seed(Key { node: self, seen: &mut seen })? {
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// Reads one key. The error is raised here, not after the map, so that it carries the key's own place.
struct Key<'a, 'b> {
    node: Node<'a>,
    seen: &'b mut BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        self.node.pay(key.len())?;
        if key == "<<" {
            return Err(E::custom("merged maps (`<<`) are refused"));
        }
        if !self.seen.insert(key.to_owned()) {
            return Err(E::custom(format!("the key `{}` appears twice", key.escape_debug())));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_can_say_is_read() {
        let text = "a: 1 # one\nb: [x, -2, 0.5, true, ~]\nc:\n  d: \"1.0.0\"\n  e: |\n    two\n    lines\nf:\n";
        let expected =
            json!({"a": 1, "b": ["x", -2, 0.5, true, null], "c": {"d": "1.0.0", "e": "two\nlines\n"}, "f": null});
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("{\"a\": [1, \"b\"]}").unwrap(), json!({"a": [1, "b"]}));
        assert_eq!(read("a: &x 1\nb: *x").unwrap(), json!({"a": 1, "b": 1}));
        assert_eq!(read("a: Hello!! said x!<y\nb: \"if ! true\"").unwrap()["a"], "Hello!! said x!<y");
    }

    // covers: A141
    #[test]
    fn what_only_yaml_can_say_is_refused() {
        let many = |head: &str, item: &str, count: usize| format!("{head}{}", item.repeat(count));
        for (text, part) in [
            ("a: 1\nb: 2\na: 3", "the key `a` appears twice at line 3"),
            ("a: {x: 1, x: 1}", "the key `x` appears twice"),
            ("a: !thing 1", "without a tag"),
            ("a: !thing {b: 1}", "without a tag"),
            ("a: !!python/object/apply:os.system ['id']", "tags"),
            ("!!map {a: 1}", "tags"),
            ("a: [1, !!str 2]", "tags"),
            ("a:\n  - !<tag:x,2000:y> 2", "tags"),
            ("a: &b !!str 2", "tags"),
            ("a: &x {b: 1}\nc:\n  <<: *x", "merged maps"),
            ("%YAML 1.1\n---\na: 1", "directives"),
            ("--- 1\n--- 2", "more than one document"),
            ("a: .nan", "finite"),
            ("a: [1", "line 1"),
            ("a: *nothing", "unknown anchor"),
            ("a: &a [*a]", "recursion limit"),
            (&many("", "[", 250_000), "opening brackets"),
            (&many("a: ", "- ", 100_000), ""),
            (&many("", "- ", 100_000), "recursion limit"),
            (&many("%TAG ! x\n", "%TAG !a! x\n", 10_000), "directives"),
            (&format!("a: &a [{}]\nb: [{}]", "x,".repeat(20_000), "*a,".repeat(20_000)), "too large"),
            (&format!("a: &a {}\nb: [{}]", "x".repeat(200_000), "*a,".repeat(10_000)), "too large"),
            (&bomb(), "repetition limit"),
        ] {
            let reason = read(text).expect_err(&text[..text.len().min(40)]);
            assert!(reason.contains(part), "{}: {reason}", &text[..text.len().min(40)]);
        }
    }

    /// Each list holds ten of the one before.
    fn bomb() -> String {
        let lists = (1..9).map(|at| format!("a{at}: &a{at} [{}]\n", format!("*a{},", at - 1).repeat(10)));
        format!("a0: &a0 x\n{}", lists.collect::<String>())
    }
}
