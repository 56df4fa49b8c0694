//! Changing the store: the lock, the tidying, and the one rename that commits.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;

use super::dir::{Dir, PRIVATE_FILE};
use super::error::StoreError;
use super::hold::Hold;
use super::home::{Home, STATE, STATE_MAX, STORE};
use super::inspect::mend;
use super::plugin_data::{DATA, PluginData};
use super::state::State;
use super::tree::{add, random_name, replace};
use crate::ids::Digest;
use crate::package::Package;

/// How long a writer waits for another one.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LOCK: &str = "lock";
const STAGING: &str = "staging";
const TRASH: &str = "trash";
/// Where what interrupted commands left behind lies.
pub(super) const LEFTOVERS: [&str; 2] = [STAGING, TRASH];
/// Space and an inode that are given up when the disk is full, so that a removal can still be committed.
const RESERVE: &str = "reserve";
const RESERVE_SIZE: usize = 64 << 10;
/// The most bytes and files that a removal from the database of plugin data takes beside it.
const LOG_ROOM: u64 = 256 << 10;
const LOG_FILES: u64 = 2;

/// The right to change the store. Nothing has an effect before [`Writer::commit`].
#[derive(Debug)]
pub struct Writer<'a> {
    home: &'a Home,
    store: Dir,
    staging: Dir,
    trash: Dir,
    state: State,
    /// Trees that were put into the store.
    added: BTreeSet<Digest>,
    /// Whether trees of others may be there that no plugin needs.
    sweeps: bool,
    /// Whether data was to be removed and is there still, since the disk is full.
    data_waits: bool,
    /// Held to the end of the change.
    _lock: Flock<File>,
    /// Let go last: a signal that waited must find nothing staged and no lock held.
    hold: Hold,
}

impl<'a> Writer<'a> {
    pub(super) fn open(home: &'a Home, deadline: Duration) -> Result<Self, StoreError> {
        let lock = lock(home, deadline)?;
        // A state that cannot be read must stop here: the tidying would take every tree for garbage.
        let state = home.read()?;
        let mut writer = Self::with(home, lock, state)?;
        writer.tidy()?;
        Ok(writer)
    }

    /// For a state that cannot be read: another takes its place with the next commit, and a copy of what it was is kept.
    pub(super) fn rescue(home: &'a Home, deadline: Duration, state: State) -> Result<(Self, String), StoreError> {
        let lock = lock(home, deadline)?;
        let path = home.path().join(STATE);
        let text = home.root.read(STATE, STATE_MAX)?.unwrap_or_default();
        if let Some(why) = State::forbids_rescue(&text) {
            return Err(StoreError::Corrupt { path, why });
        }
        // Named after its content: a repair that was interrupted and is begun again leaves one copy, not two.
        let kept = format!("damaged-{STATE}-{}", Digest::of(&text));
        if home.root.read(&kept, STATE_MAX)?.as_deref() != Some(&text[..]) {
            home.root.remove_file(&kept)?;
            home.root.write_new(&kept, &text, PRIVATE_FILE)?;
        }
        // The copy has its name for good before the state loses what it held.
        home.root.sync()?;
        Ok((Self { sweeps: true, ..Self::with(home, lock, state)? }, kept))
    }

    fn with(home: &'a Home, lock: Flock<File>, state: State) -> Result<Self, StoreError> {
        let wrap = |errno| StoreError::Io {
            step: "hold signals for",
            path: home.path().into(),
            source: io::Error::from(errno),
        };
        let hold = Hold::new().map_err(wrap)?;
        let store = home.root.open_or_make(STORE)?;
        let staging = home.root.open_or_make(STAGING)?;
        let trash = home.root.open_or_make(TRASH)?;
        home.root.open_or_make("plugins")?;
        let (added, sweeps, data_waits) = (BTreeSet::new(), false, false);
        Ok(Self { home, store, staging, trash, state, added, sweeps, data_waits, _lock: lock, hold })
    }

    /// The state as it will be committed.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state as it will be committed, to be changed.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Puts a package's tree into the store. A tree that no plugin refers to after the commit is removed again.
    ///
    /// # Errors
    /// A step failed, or a damaged tree is in its place.
    pub fn add_tree(&mut self, package: &Package) -> Result<(), StoreError> {
        self.added.insert(package.digest);
        add(&self.staging, &self.store, package, &|| self.go_on())
    }

    /// Nothing has taken effect yet: whoever wants to end the program need not wait.
    fn go_on(&self) -> Result<(), StoreError> {
        if self.hold.is_asked_to_end() { Err(StoreError::Interrupted) } else { Ok(()) }
    }

    /// Gives a tree the modes that it should have, and takes away what does not belong there.
    ///
    /// # Errors
    /// A step failed, or not even its index can be read.
    pub fn mend_tree(&mut self, digest: &Digest) -> Result<(), StoreError> {
        mend(&self.store, digest)
    }

    /// Puts a tree in the place of a damaged one, or of one that is gone.
    ///
    /// # Errors
    /// A step failed; the damaged one or the new one is there then.
    pub fn replace_tree(&mut self, package: &Package) -> Result<(), StoreError> {
        if self.store.facts(package.digest.to_string())?.is_none() {
            return self.add_tree(package);
        }
        self.added.insert(package.digest);
        replace((&self.staging, &self.trash), &self.store, package, &|| self.go_on())
    }

    /// Makes the changed state the valid one. When this returns without an error it is durable.
    ///
    /// # Errors
    /// A signal asks for the end; or a step failed: the old state is still valid, but for a failure of the last step, where
    /// either can be.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.go_on()?;
        if self.home.is_system() {
            self.state.forget_queries();
        }
        if self.data_waits && !self.is_data_of_nobody() {
            // What comes back would find the data of before, and lose its own when that is removed.
            self.purge()?;
        }
        self.data_waits = false;
        if !self.home.has_data() {
            self.state.purges.clear();
        }
        self.write_state()?;
        // It is committed: what cannot be removed now, the next writer removes. Before the data, whose removal takes room.
        let _ = if self.sweeps { self.remove_unreferenced() } else { self.remove_replaced() };
        self.purge_or_wait()
    }

    /// Whether data that was to be removed is there still: the disk is full, and it goes with a later change.
    #[must_use]
    pub fn data_waits(&self) -> bool {
        self.data_waits
    }

    /// Removes data that is to be removed. On a full disk that can wait, as long as its plugins are gone.
    fn purge_or_wait(&mut self) -> Result<(), StoreError> {
        if self.state.purges.is_empty() {
            return Ok(());
        }
        let mut done = self.purge();
        if done.is_err() && self.is_disk_full() {
            let _ = self.home.root.remove_file(RESERVE);
            done = self.purge();
        }
        match done {
            Err(_) if self.is_data_of_nobody() && self.is_disk_full() => {
                self.data_waits = true;
                Ok(())
            }
            done => done.and_then(|()| self.write_state()),
        }
    }

    fn is_data_of_nobody(&self) -> bool {
        !self.state.purges.iter().any(|name| self.state.plugins.contains_key(name))
    }

    /// Whether there is no room for what the database writes while something is removed from it: a log, an index of the log.
    fn is_disk_full(&self) -> bool {
        // The data can lie on a disk of its own.
        [self.home.path(), &self.home.path().join(DATA)].into_iter().filter_map(|path| statvfs(path).ok()).any(|disk| {
            let bytes = disk.blocks_available().saturating_mul(disk.fragment_size());
            // Some file systems count no inodes.
            bytes < LOG_ROOM || (disk.files() > 0 && disk.files_available() < LOG_FILES)
        })
    }

    fn write_state(&mut self) -> Result<(), StoreError> {
        let path = self.home.path().join(STATE);
        self.state.generation += 1;
        let text = self.state.encode().map_err(|source| StoreError::Encode { path, source })?;
        let root = &self.home.root;
        let mut name = format!("{STATE}.{}", random_name()?);
        let mut written = root.write_new(&name, &text, root.file_mode()?);
        if matches!(&written, Err(error) if is_full(error)) {
            let _ = root.remove_file(&name);
            root.remove_file(RESERVE)?;
            name = format!("{STATE}.{}", random_name()?);
            written = root.write_new(&name, &text, root.file_mode()?);
        }
        if let Err(error) = written.and_then(|()| root.replace(&name, STATE)) {
            let _ = root.remove_file(&name);
            return Err(error);
        }
        root.sync()?;
        self.keep_reserve(text.len());
        Ok(())
    }

    /// Does something small once more, for which the disk was full, with what is kept for that given up.
    ///
    /// # Errors
    /// What is kept cannot be removed; what was done stands in the value.
    pub fn with_reserve<T>(&self, act: impl FnOnce() -> T) -> Result<T, StoreError> {
        self.home.root.remove_file(RESERVE)?;
        let done = act();
        let state = self.home.root.size(STATE).and_then(|size| usize::try_from(size).ok());
        self.keep_reserve(state.unwrap_or(RESERVE_SIZE));
        Ok(done)
    }

    /// Best effort: when even this does not fit, the disk is full and the next removal frees something first.
    fn keep_reserve(&self, state_size: usize) {
        let wanted = state_size.next_multiple_of(RESERVE_SIZE);
        let root = &self.home.root;
        if u64::try_from(wanted).is_ok_and(|wanted| root.size(RESERVE).unwrap_or(0) < wanted) {
            let _ = root.remove_file(RESERVE);
            if root.write_new(RESERVE, &vec![0; wanted], PRIVATE_FILE).is_err() {
                let _ = root.remove_file(RESERVE);
            }
        }
    }

    /// Removes what interrupted commands left behind.
    fn tidy(&mut self) -> Result<(), StoreError> {
        for name in self.staging.names()? {
            self.staging.remove_all(&name)?;
        }
        // Listing thousands of trees takes longer than to count them, and whoever was interrupted left one more.
        if self.state.count_trees().is_some_and(|count| self.store.count_directories() == Some(count)) {
            self.empty_trash()?;
        } else {
            self.remove_unreferenced()?;
        }
        for name in self.home.root.names()? {
            if name.to_str().is_some_and(|name| name.starts_with("state.")) {
                self.home.root.remove_file(&name)?;
            }
        }
        self.purge_or_wait()
    }

    fn remove_unreferenced(&self) -> Result<(), StoreError> {
        let kept = self.state.trees()?;
        for name in self.store.names()? {
            let digest = name.to_str().and_then(|name| name.parse::<Digest>().ok());
            if digest.is_none_or(|digest| !kept.contains(&digest)) {
                self.discard(&name)?;
            }
        }
        self.empty_trash()
    }

    /// Of the trees that this change is about, removes those that no plugin refers to any more.
    fn remove_replaced(&self) -> Result<(), StoreError> {
        for digest in self.state.replaced_trees()?.union(&self.added) {
            let name = digest.to_string();
            if !self.state.refers_to(digest)? && self.store.facts(&name)?.is_some() {
                self.discard(name.as_ref())?;
            }
        }
        self.empty_trash()
    }

    /// Out of the store first, in one step: half a tree must never stand under a digest.
    fn discard(&self, name: &OsStr) -> Result<(), StoreError> {
        let target = random_name()?;
        self.store.make_movable(name)?;
        self.store.move_new(name, &self.trash, &target)?;
        Ok(())
    }

    fn empty_trash(&self) -> Result<(), StoreError> {
        for name in self.trash.names()? {
            self.trash.remove_all(&name)?;
        }
        Ok(())
    }

    fn purge(&mut self) -> Result<(), StoreError> {
        let data = PluginData::open(self.home)?;
        for name in &self.state.purges {
            data.remove_plugin(name)?;
        }
        self.state.purges.clear();
        Ok(())
    }
}

pub(super) fn lock(home: &Home, deadline: Duration) -> Result<Flock<File>, StoreError> {
    let start = Instant::now();
    let mut file = home.root.open_file(LOCK)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK)) => file = back,
            Err((_, errno)) => {
                let path: PathBuf = home.path().join(LOCK);
                return Err(StoreError::Io { step: "lock", path, source: io::Error::from(errno) });
            }
        }
        if start.elapsed() >= deadline {
            return Err(StoreError::Busy { path: home.path().to_owned(), waited: deadline });
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// A full disk at a write; at an fsync it is a lost write, after which nothing is tried again.
fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { step, source, .. } if crate::code::is_full(source) && *step != "make durable")
}
