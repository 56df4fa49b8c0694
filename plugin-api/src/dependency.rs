//! What a manifest says that its plugin needs: words, or objects that name another plugin.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Another plugin, as a manifest writes it in an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Needed {
    plugin: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// Reads a list of texts, of objects, or of both; an object becomes `plugin:NAME VERSION key=KEY source=URL`.
pub(crate) fn dependencies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let items = Vec::<Value>::deserialize(deserializer)?;
    let read = |item| match item {
        Value::String(text) => Ok(text),
        Value::Object(_) => serde_json::from_value(item).map(text).map_err(serde::de::Error::custom),
        other => Err(serde::de::Error::custom(format!("a dependency is a text or an object, not `{other}`"))),
    };
    items.into_iter().map(read).collect()
}

fn text(needed: Needed) -> String {
    let Needed { plugin, version, key, source } = needed;
    let key = key.map(|key| format!("key={key}"));
    let source = source.map(|source| format!("source={source}"));
    let words = [Some(format!("plugin:{plugin}")), version, key, source];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crate::Manifest;

    #[test]
    fn both_spellings_say_the_same() {
        let read = |dependencies: &str| {
            let text = format!(r#"{{"name":"a","version":"1.0.0","dependencies":{dependencies}}}"#);
            serde_json::from_str::<Manifest>(&text).map(|manifest| manifest.dependencies)
        };
        assert_eq!(read(r#"["git",{"plugin":"b"}]"#).unwrap(), ["git", "plugin:b"]);
        let full = r#"[{"plugin":"b","version":">=1.2, <2","key":"ed25519:00","source":"https://x/b.mgp"}]"#;
        assert_eq!(read(full).unwrap(), ["plugin:b >=1.2, <2 key=ed25519:00 source=https://x/b.mgp"]);
        for bad in [r#"[1]"#, r#"[{"version":"1"}]"#, r#"[{"plugin":"b","versions":"1"}]"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
