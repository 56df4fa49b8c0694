//! What a user decides about a plugin, in whichever store it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use migraine_plugin_api::Permission;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::is_default;
use crate::policy::Item;

/// What was decided about a plugin. In the state file these fields stand among those of what was decided about.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Decided {
    /// Whether it may run.
    pub enabled: bool,
    /// Whether it was enabled once, and nothing that it needs was taken back since; tells `disabled` from `installed`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub was_enabled: bool,
    /// What it was granted, filled in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grants: Vec<Permission>,
    /// Every item the user accepted: permissions, pairs, subscriptions and time for commands.
    #[serde(default, skip_serializing_if = "is_default")]
    pub consents: Vec<Item>,
    /// Where each directory that its manifest names leads, by what the manifest writes. What was consented to stays what
    /// it was, whatever directory the program is started in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub directories: BTreeMap<String, PathBuf>,
    /// What the user set instead of the configuration of its manifest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overrides: BTreeMap<String, Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::Digest;
    use crate::store::{State, state_checksum};

    /// What a program wrote that had these fields in both records one by one.
    const BODY: &str = concat!(
        r#"{"plugins":{"demo":{"version":"1.0.0","digest":"DIGEST","trust":"unsigned","enabled":true,"was_enabled":true,"#,
        r#""asked":["filesystem"],"grants":["filesystem=read:/x"],"consents":["filesystem=read:/x",{"event":"x"}],"#,
        r#""directories":{"./x":"/x"},"defaults":{"a":1,"b":"c"},"overrides":{"a":2.5,"b":"d"},"#,
        r#""installed_at":"2026-01-02T03:04:05Z","previous":{"version":"0.9.0","digest":"DIGEST","trust":"unsigned","#,
        r#""enabled":false,"overrides":{"a":7},"installed_at":"2026-01-02T03:04:05Z"}}},"history":{},"exceptions":[],"#,
        r#""purges":[],"projects":{},"overlays":{"shared":{"digest":"DIGEST","trust":{"signed":{"key":"KEY","#,
        r#""label":"root"}},"asked":["task_read"],"enabled":true,"was_enabled":true,"grants":["task_read"],"#,
        r#""consents":["task_read"],"directories":{"./y":"/y"},"overrides":{"n":18446744073709551615},"#,
        r#""problem":{"kind":"quarantined","reason":"r"}},"off":{"digest":"DIGEST","trust":"unsigned","enabled":false}},"#,
        r#""trees":1}"#,
    );

    #[test]
    fn the_fields_stand_where_they_stood() {
        let digest = Digest::of(b"").to_string();
        let body = BODY.replace("DIGEST", &digest).replace("KEY", &format!("ed25519:{digest}"));
        let sum = state_checksum(7, body.as_bytes());
        let text = format!("{{\"format\":1,\"generation\":7,\"checksum\":\"{sum}\"}}\n{body}\n");
        let mut state = State::decode(text.as_bytes()).unwrap();
        let name = "demo".parse().unwrap();
        // One that was changed is written anew, and not as the text that it was.
        let entry = state.plugins.get_mut(&name).unwrap().unwrap();
        let Decided { enabled, was_enabled, grants, consents, directories, overrides } = &entry.decided;
        assert_eq!((*enabled, *was_enabled, grants.len(), consents.len()), (true, true, 1, 2));
        assert_eq!(directories["./x"], PathBuf::from("/x"));
        assert_eq!((&overrides["a"], &overrides["b"]), (&json!(2.5), &json!("d")));
        assert_eq!(entry.previous.as_ref().unwrap().decided.overrides["a"], json!(7));
        assert!(!state.overlays[&"off".parse().unwrap()].decided.enabled);
        let written = state.encode().unwrap();
        let header = written.iter().position(|&byte| byte == b'\n').unwrap();
        let written: Value = serde_json::from_slice(&written[header..]).unwrap();
        let mut expected: Value = serde_json::from_str(&body).unwrap();
        // The trees are counted anew.
        expected["trees"] = written["trees"].clone();
        assert_eq!(written, expected);
        // None of the fields may be there twice, with two meanings.
        let twice = body.replacen(r#""enabled":true,"#, r#""enabled":true,"enabled":false,"#, 1);
        let sum = state_checksum(7, twice.as_bytes());
        let text = format!("{{\"format\":1,\"generation\":7,\"checksum\":\"{sum}\"}}\n{twice}\n");
        assert!(State::decode(text.as_bytes()).unwrap_err().contains("duplicate field `enabled`"));
    }
}
