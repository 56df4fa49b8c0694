//! What lies on disk, and how two disks are compared: names and secrets that are random, times, and the number of commits
//! differ between any two runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use migraine_host::ids::Digest;
use migraine_host::trust::SecretFile;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::place::PLACE;

/// Everything below a folder, by path.
#[derive(Debug, Clone)]
pub(super) struct Tree(BTreeMap<String, Node>);

/// A file or a directory.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) mode: u32,
    /// `None` for a directory.
    pub(super) content: Option<Arc<Content>>,
}

/// What a file holds. Most are looked at by many trees, and several times by each.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    digest: OnceLock<Digest>,
}

impl Content {
    pub(super) fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { bytes, digest: OnceLock::new() })
    }

    fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.bytes))
    }
}

impl Tree {
    /// Reads everything, of a store that no process is changing.
    pub(super) fn read(folder: &Path) -> Self {
        let mut tree = BTreeMap::new();
        collect(folder, folder, &mut tree);
        Self(tree)
    }

    /// A tree that is on no disk yet.
    pub(super) fn of(nodes: BTreeMap<String, Node>) -> Self {
        Self(nodes)
    }

    pub(super) fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.0
    }

    /// What a user would call the state: who is installed with which grants, which keys are trusted, and every file that is the
    /// user's own. What is not committed is not part of it.
    pub(super) fn view(&self) -> BTreeMap<String, String> {
        let own = |path: &&String| {
            let Some(inner) = path.strip_prefix("home/") else {
                // What is not in its place yet is no file of the user's.
                let name = path.rsplit('/').next().unwrap_or_default();
                return !(name.starts_with('.') && name.ends_with(".tmp"));
            };
            // A list of revoked keys goes with the key that signed it.
            let has_signer = |list: &str| self.0.contains_key(&format!("home/keys/{list}.key"));
            let is_record = inner
                .strip_prefix("keys/")
                .is_some_and(|name| name.ends_with(".key") || name.strip_suffix(".revoked").is_some_and(has_signer));
            inner == "state" || inner == "developer.key" || inner == "policy.yaml" || is_record
        };
        let files = self.0.keys().filter(own).filter_map(|path| {
            let content = self.0[path].content.as_deref()?;
            let mut shown = masked(path, content);
            // What is left to be purged is no plugin any more.
            if let ("home/state", Ok(mut body)) = (path.as_str(), serde_json::from_str::<Value>(&shown)) {
                body.as_object_mut()?.remove("purges");
                shown = body.to_string();
            }
            Some((path.clone(), shown))
        });
        files.collect()
    }

    /// Every line of what two runs that did the same must have in common.
    pub(super) fn settled(&self, folder: &Path) -> Vec<String> {
        self.lines(&|path, content| {
            if path.starts_with("home/data/") {
                let is_database = path.ends_with(".db");
                return if is_database { records(&folder.join(path)) } else { "a database's own".to_owned() };
            }
            masked(path, content)
        })
    }

    /// What a run that finds this disk can see of it.
    pub(super) fn identity(&self) -> Digest {
        Digest::of(self.lines(&masked).join("\n").as_bytes())
    }

    /// What a run that changes nothing looks at: whatever a change has not put into its place yet is no part of it.
    pub(super) fn readable(&self) -> Digest {
        let is_read = |path: &str| {
            let inner = path.strip_prefix("home/").unwrap_or(path);
            let is_kept = |part: &str| inner.starts_with(part);
            !["staging/", "trash/", "state.", "reserve", "keys/."].into_iter().any(is_kept)
        };
        let read = self.0.iter().filter(|(path, _)| is_read(path)).map(|(path, node)| (path.clone(), node.clone()));
        Self(read.collect()).identity()
    }

    fn lines(&self, shown: &dyn Fn(&str, &Content) -> String) -> Vec<String> {
        let line = |(path, node): (&String, &Node)| {
            let path_shown = path.split('/').map(name).collect::<Vec<_>>().join("/");
            let content = node.content.as_ref().map_or("directory".to_owned(), |content| {
                let text = shown(path, content);
                if text.len() > 2000 { Digest::of(text.as_bytes()).to_string() } else { text }
            });
            format!("{path_shown} {:o} {content}", node.mode)
        };
        let mut lines: Vec<String> = self.0.iter().map(line).collect();
        lines.sort();
        lines
    }

    /// Names in the folders that are empty between two commands.
    pub(super) fn left_over(&self) -> Vec<&String> {
        let is_left = |path: &&String| {
            let inner = path.strip_prefix("home/").unwrap_or_default();
            inner.starts_with("staging/") || inner.starts_with("trash/") || inner.starts_with("state.")
        };
        self.0.keys().filter(is_left).collect()
    }
}

fn collect(root: &Path, folder: &Path, tree: &mut BTreeMap<String, Node>) {
    for entry in fs::read_dir(folder).expect("list a directory") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("look at a file");
        let name = path.strip_prefix(root).expect("a path below the folder").to_string_lossy().into_owned();
        let mode = metadata.mode() & 0o7777;
        if metadata.is_dir() {
            tree.insert(name, Node { mode, content: None });
            collect(root, &path, tree);
        } else {
            tree.insert(name, Node { mode, content: Some(Content::new(fs::read(&path).expect("read a file"))) });
        }
    }
}

/// A text without what was drawn for the folder that the home lies in: where a plugin came from can be there.
fn without_place(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(PLACE) {
        shown.extend([before, "PLACE"]);
        rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    shown + rest
}

/// A name without what was drawn for it.
fn name(name: &str) -> String {
    let is_random = |part: &&str| [16, 32].contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.split('.').map(|part| if is_random(&part) { "RANDOM" } else { part }).collect::<Vec<_>>().join(".")
}

/// A content without what differs between any two runs. What is torn stays as it is.
fn masked(path: &str, content: &Content) -> String {
    // Whoever hashed it before knows that there is nothing to be masked.
    if let Some(digest) = content.digest.get() {
        return digest.to_string();
    }
    let bytes = &content.bytes[..];
    let is_state = path == "home/state" || path.starts_with("home/state.");
    if is_state && let Some(body) = state_body(bytes) {
        return masked_text(&without_place(&body), false);
    }
    if SecretFile::parse(bytes).is_ok() {
        return "a secret key".to_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => masked_text(text, path.starts_with("work/")),
        Err(_) => content.digest().to_string(),
    }
}

/// The second of its two lines; the first counts the commits and holds a digest of it all.
fn state_body(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    let (header, body) = text.strip_suffix('\n')?.split_once('\n')?;
    serde_json::from_str::<Value>(header).ok()?;
    Some(serde_json::from_str::<Value>(body).ok()?.to_string())
}

/// Times, and signatures over them in what the user signs.
fn masked_text(text: &str, signatures: bool) -> String {
    const TIME: &str = "dddd-dd-ddTdd:dd:ddZ";
    const SIGNATURE: usize = 128;
    let is_time = |window: &[u8]| {
        let fits = |(byte, form): (&u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { *byte == form };
        window.iter().zip(TIME.bytes()).all(fits)
    };
    let bytes = text.as_bytes();
    let (mut shown, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        if !rest[0].is_ascii_hexdigit() {
            shown.push(rest[0]);
            at += 1;
        } else if rest.len() >= TIME.len() && is_time(&rest[..TIME.len()]) {
            shown.extend_from_slice(b"TIME");
            at += TIME.len();
        } else if signatures && rest.len() >= SIGNATURE && rest[..SIGNATURE].iter().all(u8::is_ascii_hexdigit) {
            shown.extend_from_slice(b"SIGNATURE");
            at += SIGNATURE;
        } else {
            shown.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&shown).into_owned()
}

/// The records of a database of plugin data; read from a copy, since reading changes its files.
fn records(database: &Path) -> String {
    let folder = tempfile::tempdir().expect("make a directory");
    for suffix in ["", "-wal"] {
        let name = format!("{}{suffix}", database.file_name().expect("a file has a name").to_string_lossy());
        let from = database.with_file_name(&name);
        if from.exists() {
            fs::copy(&from, folder.path().join(&name)).expect("copy a database");
            let own = fs::Permissions::from_mode(0o600);
            fs::set_permissions(folder.path().join(&name), own).expect("open a copy");
        }
    }
    let copy = folder.path().join(database.file_name().expect("a file has a name"));
    let read = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut query = connection
            .prepare("SELECT plugin || ' ' || maker || ' ' || key || ' ' || hex(value) FROM kept ORDER BY 1")?;
        query.query_map([], |row| row.get(0))?.collect()
    };
    read().map_or_else(|error| format!("damaged: {error}"), |lines| lines.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_anew_in_each_run_is_masked_and_nothing_else() {
        assert_eq!(name("state.0836f44624ff38414dcd280e1d41ff22"), "state.RANDOM");
        assert_eq!(name(".0836f44624ff3841.tmp"), ".RANDOM.tmp");
        assert_eq!(name("deadbeef"), "deadbeef");
        let masked = |path: &str, text: &str| masked(path, &Content::new(text.as_bytes().to_vec()));
        assert_eq!(masked("home/x", "a 2026-01-02T03:04:05Z b"), "a TIME b");
        assert_eq!(masked("home/x", "a 2026-01-02T03:04:5Z b"), "a 2026-01-02T03:04:5Z b");
        let state = |generation: u32, body: &str| format!("{{\"generation\":{generation}}}\n{body}\n");
        let read = |text: &str| masked("home/state", text);
        assert_eq!(read(&state(1, r#"{"a":1}"#)), read(&state(2, r#"{"a":1}"#)));
        assert_ne!(read(&state(1, r#"{"a":1}"#)), read(&state(1, r#"{"a":2}"#)));
        let torn = state(1, r#"{"a":1}"#);
        assert_ne!(read(&torn), read(&torn[..torn.len() - 1]));
    }
}
