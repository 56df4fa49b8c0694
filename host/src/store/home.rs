//! The home directory: where it is, who may change it, and what readers see of it without a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::brief::Brief;
use super::dir::Dir;
use super::error::StoreError;
use super::plugin_data::{DATA, DATABASE};
use super::records::{Records, Text};
use super::root::Root;
use super::state::{Entry, State};
use super::system::{Overlay, StoreName, SystemView};
use super::tree::{InstalledTree, load_into};
use super::writer::{LOCK, LOCK_DEADLINE, Writer};
use crate::ids::{Digest, PluginName};
use crate::package::dependency::needs;
use crate::policy::{Policy, PolicyFile, SYSTEM_POLICY, SYSTEM_STORE};
use crate::sys::memory::Room;
use crate::text::safe_path;

pub(super) const STATE: &str = "state";
pub(super) const STORE: &str = "store";
const KEYS: &str = "keys";
/// The name of a policy file.
const POLICY: &str = "policy.yaml";
/// The largest state file that is read, in bytes: some tens of thousands of plugins.
pub(super) const STATE_MAX: usize = 64 << 20;

/// An installed plugin, read whole.
#[derive(Debug)]
pub struct Installed {
    /// Its entry.
    pub entry: Entry,
    /// Its files.
    pub tree: InstalledTree,
    /// Packages without a signature that were allowed in its store, as the same state has them.
    pub exceptions: Vec<Digest>,
    /// Which store it is in.
    pub place: StoreName,
    /// The entries of the plugins that it needs, of those that are installed.
    pub needed: Records<Entry>,
}

/// What a list shows of a home.
#[derive(Debug)]
pub struct Briefs {
    /// The state that it is of.
    pub state: State,
    /// The user's own plugins, by name.
    pub plugins: Vec<(PluginName, Brief)>,
    /// Which trees are gone, in either store.
    pub gone: BTreeSet<Digest>,
}

/// An open home directory that nobody else can write to; it can have the system store behind it.
#[derive(Debug)]
pub struct Home {
    pub(super) root: Root,
    /// The content of the state file whose checksum was compared last, for as long as somebody uses it.
    compared: Mutex<Weak<Text>>,
    pub(super) system: Option<Dir>,
    is_system: bool,
    /// Why the system store cannot be used, once that is known.
    unusable: Arc<OnceLock<StoreError>>,
}

/// Where the home directory is, given the values of `MIGRAINE_HOME` and `HOME`.
///
/// # Errors
/// Neither gives an absolute path of an own directory.
pub fn home_path(migraine_home: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, StoreError> {
    let refuse = |why: String| Err(StoreError::BadHome { why });
    if let Some(path) = migraine_home.map(PathBuf::from) {
        if !path.is_absolute() || path.parent().is_none() {
            return refuse(format!("MIGRAINE_HOME is `{}`, not an absolute path of a directory", safe_path(&path)));
        }
        return Ok(path);
    }
    match home.map(PathBuf::from) {
        None => refuse("neither MIGRAINE_HOME nor HOME is set".to_owned()),
        // `HOME=/` is what a user without a home gets; nothing private can be kept there.
        Some(path) if !path.is_absolute() || path.parent().is_none() => {
            refuse(format!("HOME is `{}`, not an absolute path of a user's directory", safe_path(&path)))
        }
        Some(path) => Ok(path.join(".migraine")),
    }
}

impl Home {
    /// Opens the home directory. Where there is none it is an empty one, which is made (mode 0700) by the first change.
    ///
    /// # Errors
    /// The path is not absolute, is a symbolic link, belongs to somebody else, or can be written to by others; or it is
    /// not there and its parent is not either.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_absolute() {
            return Err(StoreError::BadHome { why: format!("`{}` is not an absolute path", safe_path(path)) });
        }
        let real = path.canonicalize().or_else(|_| {
            let parent = path.parent().unwrap_or(path).canonicalize()?;
            Ok::<_, std::io::Error>(parent.join(path.file_name().unwrap_or_default()))
        });
        let real = real.unwrap_or_else(|_| path.to_owned());
        if real.starts_with(SYSTEM_STORE) {
            // As a home it would get modes, data and links that only one user may have.
            let why = format!("`{}` is the system store, which --system changes", safe_path(path));
            return Err(StoreError::BadHome { why });
        }
        Ok(Self::new(Root::open_at(path)?, false))
    }

    fn new(root: Root, is_system: bool) -> Self {
        Self { root, compared: Mutex::default(), system: None, is_system, unusable: Arc::default() }
    }

    /// The system store, to be changed; it is made (mode 0755) when there is none.
    ///
    /// # Errors
    /// It, or a directory on the way to it, is not root's alone; or this is not root.
    pub fn open_system() -> Result<Self, StoreError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(StoreError::NotRoot);
        }
        let opened = Dir::make_of_root(Path::new(SYSTEM_STORE)).map_err(StoreError::of_system)?;
        Ok(Self::new(Root::of(opened), true))
    }

    /// The same, with the plugins of the system store behind the user's own. One that cannot be used is no error: nothing
    /// of it is used then, and [`Home::system_problem`] says why.
    #[must_use]
    pub fn with_system(mut self) -> Self {
        match Dir::open_of_root(Path::new(SYSTEM_STORE)) {
            Ok(system) => self.system = system,
            Err(error) => self.forgo(error),
        }
        self
    }

    fn forgo(&self, error: StoreError) {
        // The first reason is as good as a later one.
        let _ = self.unusable.set(StoreError::of_system(error));
    }

    /// Why the system store cannot be used, once that is known: when it was opened, or read for the first time.
    #[must_use]
    pub fn system_problem(&self) -> Arc<OnceLock<StoreError>> {
        Arc::clone(&self.unusable)
    }

    /// Whether this is the system store itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    /// Whether the system store is behind this home.
    #[must_use]
    pub fn has_system(&self) -> bool {
        self.system.is_some()
    }

    /// The folder of the keyring of the system store behind this home, if there is one.
    #[must_use]
    pub fn system_keys_path(&self) -> Option<PathBuf> {
        self.system.as_ref().map(|system| system.path().join(KEYS))
    }

    /// Makes the home directory, where there is none yet.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> Result<(), StoreError> {
        self.root.made().map(drop)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The folder of the keyring.
    #[must_use]
    pub fn keys_path(&self) -> PathBuf {
        self.path().join(KEYS)
    }

    /// The folder where a user may drop plugins to be discovered.
    #[must_use]
    pub fn plugins_path(&self) -> PathBuf {
        self.path().join("plugins")
    }

    /// The state as it is now: the old or the new one while somebody is changing it, never a mixture. What is held of a
    /// plugin is read once it is asked for; the plugins of the system store are read along.
    ///
    /// # Errors
    /// The file is damaged or cannot be read. No file is an empty state.
    pub fn read(&self) -> Result<State, StoreError> {
        let mut state = self.read_own()?;
        state.system = self.read_system(&state.overlays);
        Ok(state)
    }

    fn read_own(&self) -> Result<State, StoreError> {
        let Some(bytes) = self.root.read(STATE, STATE_MAX)? else { return Ok(State::default()) };
        let path = self.path().join(STATE);
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        // A command reads it again before it changes anything, and mostly finds the same bytes.
        let read = match compared.upgrade().filter(|known| known.bytes == bytes) {
            Some(known) => State::read_checked(&known),
            None => {
                let text = Arc::new(Text { bytes, path: path.clone() });
                State::read(&text).inspect(|_| *compared = Arc::downgrade(&text))
            }
        };
        read.map_err(|why| StoreError::Corrupt { path, why })
    }

    /// What the system store offers to a user who decided so.
    pub(super) fn read_system(&self, overlays: &BTreeMap<PluginName, Overlay>) -> SystemView {
        let why = self.system_problem();
        match self.system.as_ref().map(read_state).transpose() {
            Ok(Some(shared)) => SystemView::of(shared, overlays, why),
            Ok(None) => SystemView::unusable(why),
            Err(error) => {
                self.forgo(error);
                SystemView::unusable(why)
            }
        }
    }

    /// As [`Home::read`], with all that is held of every plugin.
    ///
    /// # Errors
    /// As [`Home::read`].
    pub fn read_whole(&self) -> Result<State, StoreError> {
        let state = self.read()?;
        state.check()?;
        Ok(state)
    }

    /// What the user's and the administrator's policy files say together. Where no file is, the defaults hold.
    ///
    /// # Errors
    /// A file is not valid, cannot be read, or somebody else could have written it.
    pub fn policy(&self) -> Result<Policy, StoreError> {
        self.policy_with(Path::new(SYSTEM_POLICY))
    }

    /// The place of the administrator's file is fixed: whoever could name another would be rid of it.
    pub(super) fn policy_with(&self, system: &Path) -> Result<Policy, StoreError> {
        let own = self.root.there()?.map(read_policy).transpose()?;
        let system = Dir::open_system(system)?.map(|system| read_policy(&system)).transpose()?;
        Ok(Policy::new(own.flatten().into_iter().chain(system.flatten()).collect()))
    }

    /// Takes the lock, so that the state can be changed.
    ///
    /// # Errors
    /// Another process holds the lock for too long, or the store cannot be read or tidied.
    pub fn writer(&self) -> Result<Writer<'_>, StoreError> {
        self.writer_within(LOCK_DEADLINE)
    }

    /// As [`Home::writer`], for what only takes away: `None` where nothing was ever changed, and then nothing is made.
    ///
    /// # Errors
    /// As [`Home::writer`].
    pub fn writer_if_used(&self) -> Result<Option<Writer<'_>>, StoreError> {
        let is_used = self.root.size(LOCK).is_some();
        is_used.then(|| self.writer()).transpose()
    }

    /// As [`Home::writer`], with a time of the caller's for the lock.
    ///
    /// # Errors
    /// As [`Home::writer`].
    pub fn writer_within(&self, deadline: Duration) -> Result<Writer<'_>, StoreError> {
        Writer::open(self, deadline)
    }

    /// Puts a state in the place of one that cannot be read, and gives the name of the copy that is kept of that. Trees
    /// that the new one does not name are removed.
    ///
    /// # Errors
    /// A newer program wrote it, it can be read after all, another process holds the lock for too long, or a step failed.
    pub fn rescue(&self, state: State) -> Result<String, StoreError> {
        let (mut writer, kept) = Writer::rescue(self, LOCK_DEADLINE, state)?;
        writer.commit()?;
        Ok(kept)
    }

    /// Whether plugins have left data.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.path().join(DATA).join(DATABASE).exists()
    }

    /// Reads a whole tree and compares every byte with what was installed.
    ///
    /// # Errors
    /// The tree is gone, or anything in it is not what its digest promises.
    pub fn load(&self, digest: &Digest) -> Result<InstalledTree, StoreError> {
        load_from(self.root.open(STORE)?, digest, None)
    }

    /// As [`Home::load`], from the store that a plugin is in.
    ///
    /// # Errors
    /// As [`Home::load`].
    pub fn load_in(&self, place: StoreName, digest: &Digest) -> Result<InstalledTree, StoreError> {
        self.load_into(place, digest, None)
    }

    fn load_into(&self, place: StoreName, digest: &Digest, room: Option<Room>) -> Result<InstalledTree, StoreError> {
        match (place, &self.system) {
            (StoreName::User, _) => load_from(self.root.open(STORE)?, digest, room),
            (StoreName::System, Some(system)) => {
                system.open(STORE).and_then(|store| load_from(store, digest, room)).map_err(StoreError::of_system)
            }
            (StoreName::System, None) => Err(StoreError::Gone { digest: *digest }),
        }
    }

    /// The state, and which of its plugins' trees are gone. The content of trees is not looked at.
    ///
    /// # Errors
    /// As [`Home::read`], or the store cannot be listed.
    pub fn read_with_gone(&self) -> Result<(State, BTreeSet<Digest>), StoreError> {
        loop {
            let state = self.read()?;
            let gone = self.gone(&state, state.plugins.iter()?.map(|(_, entry)| entry.digest))?;
            // An upgrade came between the state and the trees: then there is a newer state.
            if gone.is_empty() || self.read()?.generations() == state.generations() {
                return Ok((state, gone));
            }
        }
    }

    /// As [`Home::read_with_gone`], with what a list shows of each plugin.
    ///
    /// # Errors
    /// As [`Home::read_with_gone`].
    pub fn read_briefs(&self) -> Result<Briefs, StoreError> {
        loop {
            let state = self.read()?;
            let briefs = state.plugins.views::<Brief>()?;
            let gone = self.gone(&state, briefs.iter().map(|(_, brief)| brief.digest))?;
            if gone.is_empty() || self.read()?.generations() == state.generations() {
                let plugins = briefs.into_iter().map(|(name, brief)| (name.clone(), brief)).collect();
                return Ok(Briefs { state, plugins, gone });
            }
        }
    }

    /// The trees that are not there: of the user's own, those that are wanted, and of the system store all.
    fn gone(&self, state: &State, own: impl Iterator<Item = Digest>) -> Result<BTreeSet<Digest>, StoreError> {
        let mut gone = absent(self.root.open(STORE)?.as_ref(), own)?;
        if let Some(system) = &self.system {
            let all = || state.system.iter().map(|(_, entry)| entry.digest);
            // One that cannot be listed has none.
            let listed = system.open(STORE).and_then(|store| absent(store.as_ref(), all()));
            gone.extend(listed.unwrap_or_else(|_| all().collect()));
        }
        Ok(gone)
    }

    /// What is known of an installed plugin, from one reading of the state; `None` when there is no such plugin.
    ///
    /// # Errors
    /// As [`Home::read`] and [`Home::load`].
    pub fn load_plugin(&self, name: &PluginName) -> Result<Option<Installed>, StoreError> {
        self.load_plugin_with(name, |_| None)
    }

    /// As [`Home::load_plugin`]; `known` is told of each entry whose tree is about to be read, and may have room for its
    /// library. What stands there after an error is not what it should be.
    ///
    /// # Errors
    /// As [`Home::load_plugin`].
    pub fn load_plugin_with(
        &self,
        name: &PluginName,
        mut known: impl FnMut(&Entry) -> Option<Room>,
    ) -> Result<Option<Installed>, StoreError> {
        let mut state = self.read()?;
        loop {
            let Some((entry, place)) = state.find(name)?.map(|(entry, place)| (entry.clone(), place)) else {
                return Ok(None);
            };
            let room = known(&entry);
            match self.load_into(place, &entry.digest, room) {
                Ok(tree) => {
                    let exceptions = state.exceptions_of(place);
                    let others = needs(&entry.dependencies).into_iter().map(|need| need.name);
                    let found = others.filter(|other| other != name).filter_map(|other| {
                        Some(state.find(&other).transpose()?.map(|(entry, _)| (other, entry.clone())))
                    });
                    let needed = found.collect::<Result<Records<Entry>, StoreError>>()?;
                    return Ok(Some(Installed { entry, tree, exceptions, place, needed }));
                }
                // An upgrade came between the state and the tree, or between two files of it: then there is a newer state.
                Err(error) => {
                    let newer = self.read()?;
                    if newer.generations() == state.generations() {
                        return Err(error);
                    }
                    state = newer;
                }
            }
        }
    }
}

fn read_state(root: &Dir) -> Result<State, StoreError> {
    let Some(bytes) = root.read(STATE, STATE_MAX)? else { return Ok(State::default()) };
    let path = root.path().join(STATE);
    let text = Arc::new(Text { bytes, path: path.clone() });
    State::read(&text).map_err(|why| StoreError::Corrupt { path, why })
}

fn load_from(store: Option<Dir>, digest: &Digest, room: Option<Room>) -> Result<InstalledTree, StoreError> {
    match store {
        Some(store) => load_into(&store, digest, room),
        None => Err(StoreError::Gone { digest: *digest }),
    }
}

/// Those trees that are not in a store.
fn absent(store: Option<&Dir>, wanted: impl Iterator<Item = Digest>) -> Result<BTreeSet<Digest>, StoreError> {
    let names = store.map(Dir::names).transpose()?.unwrap_or_default();
    // Names are in their order, and so are the digests.
    let present: Vec<Digest> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    Ok(wanted.filter(|digest| present.binary_search(digest).is_err()).collect())
}

fn read_policy(directory: &Dir) -> Result<Option<(PathBuf, PolicyFile)>, StoreError> {
    let path = directory.path().join(POLICY);
    let bytes = match directory.read(POLICY, PolicyFile::MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(StoreError::Io { step, source, .. }) => {
            return Err(StoreError::Policy { path, why: format!("cannot {step} it: {source}") });
        }
        Err(error) => return Err(error),
    };
    let read = match std::str::from_utf8(&bytes) {
        Ok(text) => PolicyFile::parse(text),
        Err(_) => Err("it is not UTF-8 text".to_owned()),
    };
    match read {
        Ok(file) => Ok(Some((path, file))),
        Err(why) => Err(StoreError::Policy { path, why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: A155
    #[test]
    fn only_an_absolute_home_is_taken() {
        let check = |own: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let found = home_path(own.map(OsString::from), home.map(OsString::from));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{own:?} {home:?}");
        };
        check(None, Some("/home/a"), Some("/home/a/.migraine"));
        check(Some("/x/y"), Some("relative"), Some("/x/y"));
        for home in [None, Some(""), Some("/"), Some("relative"), Some("./a")] {
            check(None, home, None);
        }
        for own in ["", "/", "relative"] {
            check(Some(own), Some("/home/a"), None);
        }
        for path in ["x", "/var/lib/migraine", "/var/lib/migraine/x", "/var/lib/../lib/migraine"] {
            assert!(matches!(Home::open(Path::new(path)), Err(StoreError::BadHome { .. })), "{path}");
        }
        assert!(matches!(Home::open(Path::new("/no/such/parent")), Err(StoreError::BadHome { .. })));
    }

    #[test]
    fn both_policy_files_hold_and_neither_may_be_open_to_others() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        home.make().unwrap();
        let system = folder.path().join("etc");
        let wall = || home.policy_with(&system).map(|policy| policy.limits().command_wall);
        assert_eq!(wall().unwrap(), None);
        let own = home.path().join(POLICY);
        fs::write(&own, "limits: {command_wall: 60}").unwrap();
        assert_eq!(wall().unwrap(), Some(60));
        fs::create_dir(&system).unwrap();
        assert_eq!(wall().unwrap(), Some(60));
        fs::write(system.join(POLICY), "limits: {command_wall: 10}").unwrap();
        assert_eq!(wall().unwrap(), Some(10));
        fs::write(&own, "limits: {command_wall: 5}").unwrap();
        assert_eq!(wall().unwrap(), Some(5));
        for path in [&own, &system.join(POLICY), &system] {
            let before = fs::metadata(path).unwrap().permissions();
            fs::set_permissions(path, fs::Permissions::from_mode(before.mode() | 0o020)).unwrap();
            let error = wall().unwrap_err();
            assert!(matches!(&error, StoreError::Insecure { path: found, .. } if found == path), "{error}");
            fs::set_permissions(path, before).unwrap();
        }
        assert_eq!(wall().unwrap(), Some(5));
        fs::write(&own, "limits: {comand_wall: 5}").unwrap();
        let error = wall().unwrap_err().to_string();
        assert!(error.contains("policy.yaml: ") && error.contains("`comand_wall`"), "{error}");
        fs::write(&own, "#".repeat(PolicyFile::MAX + 1)).unwrap();
        assert!(matches!(wall().unwrap_err(), StoreError::Policy { .. }));
        fs::remove_file(&own).unwrap();
        std::os::unix::fs::symlink(system.join(POLICY), &own).unwrap();
        assert!(matches!(wall().unwrap_err(), StoreError::Insecure { .. }));
    }
}
