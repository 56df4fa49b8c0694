//! Keyed state of plugins in one SQLite database: durable when a call returns, capped for each plugin, kept over
//! upgrades and reinstalls until it is purged. What a plugin of one maker stored, another maker's of the same name never sees.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use migraine_plugin_api::{STATE_KEY_MAX, STATE_TOTAL_MAX, STATE_VALUE_MAX};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, ToSql, Transaction, TransactionBehavior, params,
};

use super::error::StoreError;
use super::home::Home;
use super::state::{Entry, Trust};
use super::system::StoreName;
use crate::ids::{Fingerprint, PluginName};

pub(super) const DATA: &str = "data";
pub(super) const DATABASE: &str = "plugins.db";
/// How long a call waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);
const BUSY_PAUSE: Duration = Duration::from_millis(5);
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS kept (plugin TEXT NOT NULL, maker TEXT NOT NULL, key TEXT NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (plugin, maker, key)) STRICT, WITHOUT ROWID";
/// Bytes of keys and values of one plugin, one key left out.
const SIZE_OF_OTHERS: &str = "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) FROM kept
    WHERE plugin = ?1 AND maker = ?2 AND key <> ?3";
/// Whether there is a table of an older program, which knew no makers.
const HAS_OLDER: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'state')";

/// The open database.
#[derive(Debug)]
pub struct PluginData {
    connection: Connection,
    path: PathBuf,
    /// Whether an older program left something, possibly.
    has_older: bool,
}

/// Whose data it is: a plugin's, of one maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataOwner {
    plugin: PluginName,
    maker: String,
    /// Makers whose data is this one's as well.
    before: Vec<String>,
}

/// What nobody vouches for and its user allowed: its builds follow each other.
const UNSIGNED: &str = "unsigned";

fn maker(entry: &Entry, place: StoreName) -> String {
    match (&entry.trust, place) {
        (Trust::Signed { key, .. }, _) => key.to_string(),
        (Trust::Unsigned, StoreName::User) => UNSIGNED.to_owned(),
        // Somebody else made the exception, which is for these bytes alone.
        (Trust::Unsigned, StoreName::System) => format!("{UNSIGNED} {}", entry.digest),
    }
}

impl DataOwner {
    /// A plugin as it is installed; `before` are the keys that its maker's took the place of.
    #[must_use]
    pub fn of(plugin: &PluginName, entry: &Entry, place: StoreName, before: &[Fingerprint]) -> Self {
        let maker = maker(entry, place);
        // What is not signed has no maker: whoever puts it in another version's place, or another in its, means that plugin.
        let is_unsigned = |entry: &Entry| entry.trust == Trust::Unsigned;
        let previous = entry.previous.as_ref().filter(|_| place == StoreName::User);
        let previous = previous.filter(|previous| is_unsigned(previous) != is_unsigned(entry));
        let previous = previous.map(|previous| self::maker(previous, place));
        let before = before.iter().map(Fingerprint::to_string).chain(previous).collect();
        Self { plugin: plugin.clone(), maker, before }
    }
}

impl PluginData {
    /// Opens the database below the home directory, making it when there is none.
    ///
    /// # Errors
    /// The folder is not private, or the database cannot be opened.
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let data = home.root.open_or_make(DATA)?;
        // Made here with mode 0600 whatever the umask is; SQLite gives its journal the same mode.
        let file = data.open_file(DATABASE)?;
        let path = data.path().join(DATABASE);
        let metadata =
            file.metadata().map_err(|source| StoreError::Io { step: "inspect", path: path.clone(), source })?;
        if metadata.len() == 0 {
            // SQLite makes durable what it writes, and the names of its own files; this one and its folder were made here.
            data.sync()?;
            home.root.sync()?;
        }
        drop(file);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(|source| StoreError::Database {
            step: "open",
            path: path.clone(),
            source: Box::new(source),
        })?;
        let mut data = Self { connection, path, has_older: false };
        data.has_older = data.prepare().map_err(|source| data.failed("prepare", source))?;
        Ok(data)
    }

    fn prepare(&self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(BUSY)?;
        let start = Instant::now();
        // Two processes that switch a new database to WAL at once: SQLite gives up on one of them without waiting.
        while let Err(error) = self.connection.pragma_update(None, "journal_mode", "wal") {
            if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || start.elapsed() > BUSY {
                return Err(error);
            }
            std::thread::sleep(BUSY_PAUSE);
        }
        // The default loses the last commits in a power cut.
        self.connection.pragma_update(None, "synchronous", "full")?;
        self.connection.execute(SCHEMA, [])?;
        self.connection.query_row(HAS_OLDER, [], |row| row.get(0))
    }

    fn failed(&self, step: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Database { step, path: self.path.clone(), source: Box::new(source) }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// The key is empty or too long, or the database cannot be read.
    pub fn get(&self, owner: &DataOwner, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let DataOwner { plugin, maker, .. } = self.settled(owner)?;
        let sql = "SELECT value FROM kept WHERE plugin = ?1 AND maker = ?2 AND key = ?3";
        let found = self.connection.query_row(sql, params![plugin.as_str(), maker, key], |row| row.get(0)).optional();
        found.map_err(|source| self.failed("read", source))
    }

    /// Stores a value under a key; durable when this returns.
    ///
    /// # Errors
    /// The key or the value is too long, all state of the plugin would be, or the database cannot be written.
    pub fn put(&self, owner: &DataOwner, key: &str, value: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        if value.len() > STATE_VALUE_MAX {
            let what = format!("the value under `{}` has {} bytes", key.escape_debug(), value.len());
            return Err(StoreError::Limit { what: format!("{what}, at most {STATE_VALUE_MAX} are stored") });
        }
        let owner = self.settled(owner)?;
        let fits = self.put_if_it_fits(owner, key, value).map_err(|source| self.failed("write", source))?;
        if fits {
            return Ok(());
        }
        let what = format!("the state of {} would have more than {STATE_TOTAL_MAX} bytes", owner.plugin);
        Err(StoreError::Limit { what })
    }

    fn put_if_it_fits(&self, owner: &DataOwner, key: &str, value: &[u8]) -> rusqlite::Result<bool> {
        let (plugin, maker) = (owner.plugin.as_str(), &owner.maker);
        // Immediate: two writers must not both measure before either has written.
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let others: i64 = transaction.query_row(SIZE_OF_OTHERS, params![plugin, maker, key], |row| row.get(0))?;
        let others = usize::try_from(others).unwrap_or(usize::MAX);
        if others.saturating_add(key.len()).saturating_add(value.len()) > STATE_TOTAL_MAX {
            return Ok(false);
        }
        let sql = "INSERT INTO kept VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET value = excluded.value";
        transaction.execute(sql, params![plugin, maker, key, value])?;
        transaction.commit()?;
        Ok(true)
    }

    /// Removes a key; one that is not there is fine.
    ///
    /// # Errors
    /// The key is empty or too long, or the database cannot be written.
    pub fn delete(&self, owner: &DataOwner, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        let DataOwner { plugin, maker, .. } = self.settled(owner)?;
        let sql = "DELETE FROM kept WHERE plugin = ?1 AND maker = ?2 AND key = ?3";
        let done = self.connection.execute(sql, params![plugin.as_str(), maker, key]);
        done.map(drop).map_err(|source| self.failed("write", source))
    }

    /// Every key that holds a value, sorted.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn keys(&self, owner: &DataOwner) -> Result<Vec<String>, StoreError> {
        let DataOwner { plugin, maker, .. } = self.settled(owner)?;
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT key FROM kept WHERE plugin = ?1 AND maker = ?2 ORDER BY key";
            self.connection.prepare(sql)?.query_map([plugin.as_str(), maker], |row| row.get(0))?.collect()
        };
        read().map_err(|source| self.failed("read", source))
    }

    /// The owner, once all that is its own is under its name: what was stored before a key took another's place, and what
    /// an older program stored, which only one plugin of that name can have done.
    fn settled<'a>(&self, owner: &'a DataOwner) -> Result<&'a DataOwner, StoreError> {
        self.settle(owner).map_err(|source| self.failed("take over", source))?;
        Ok(owner)
    }

    fn settle(&self, DataOwner { plugin, maker, before }: &DataOwner) -> rusqlite::Result<()> {
        let plugin = plugin.as_str();
        let is_there = |sql: &str, values: &[&dyn ToSql]| self.connection.query_row(sql, values, |row| row.get(0));
        if self.has_older && is_there("SELECT EXISTS (SELECT 1 FROM state WHERE plugin = ?1)", &[&plugin])? {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let sql = "INSERT OR REPLACE INTO kept SELECT plugin, ?2, key, value FROM state WHERE plugin = ?1";
            transaction.execute(sql, [plugin, maker])?;
            transaction.execute("DELETE FROM state WHERE plugin = ?1", [plugin])?;
            transaction.commit()?;
        }
        for old in before {
            let sql = "SELECT EXISTS (SELECT 1 FROM kept WHERE plugin = ?1 AND maker = ?2)";
            if is_there(sql, &[&plugin, old])? {
                // What was stored since is newer, and stays; the older one then stays where it is.
                let sql = "UPDATE OR IGNORE kept SET maker = ?3 WHERE plugin = ?1 AND maker = ?2";
                self.connection.execute(sql, [plugin, old, maker])?;
            }
        }
        Ok(())
    }

    /// Every plugin that has state, sorted.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn plugins(&self) -> Result<Vec<String>, StoreError> {
        let older = if self.has_older { " UNION SELECT plugin FROM state" } else { "" };
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut query =
                self.connection.prepare(&format!("SELECT plugin FROM kept{older} GROUP BY 1 ORDER BY 1"))?;
            query.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|source| self.failed("read", source))
    }

    /// Reads the whole database and checks its form.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub fn check(&self) -> Result<(), StoreError> {
        let found = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match found.map_err(|source| self.failed("read", source))?.as_str() {
            "ok" => Ok(()),
            why => {
                let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                Err(self.failed("check", rusqlite::Error::SqliteFailure(corrupt, Some(why.to_owned()))))
            }
        }
    }

    /// Removes all state of a plugin, whoever made it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove_plugin(&self, plugin: &PluginName) -> Result<(), StoreError> {
        let remove = || -> rusqlite::Result<()> {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM kept WHERE plugin = ?1", [plugin.as_str()])?;
            if self.has_older {
                transaction.execute("DELETE FROM state WHERE plugin = ?1", [plugin.as_str()])?;
            }
            transaction.commit()
        };
        remove().map_err(|source| self.failed("write", source))
    }
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > STATE_KEY_MAX {
        let what = format!("a state key has 1 to {STATE_KEY_MAX} bytes, this one has {}", key.len());
        return Err(StoreError::Limit { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, maker: &str, before: &[&str]) -> DataOwner {
        let before = before.iter().map(|before| (*before).to_owned()).collect();
        DataOwner { plugin: name.parse().unwrap(), maker: maker.to_owned(), before }
    }

    #[test]
    fn nobody_sees_what_anothers_plugin_of_the_same_name_stored() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let data = PluginData::open(&home).unwrap();
        let (first, second) = (owner("one", "a", &[]), owner("one", "b", &[]));
        data.put(&first, "k", b"of a").unwrap();
        assert_eq!((data.get(&second, "k").unwrap(), data.keys(&second).unwrap()), (None, Vec::new()));
        data.delete(&second, "k").unwrap();
        data.put(&second, "k", b"of b").unwrap();
        assert_eq!(data.get(&first, "k").unwrap().unwrap(), b"of a");
        // Another key of the same maker; what was stored since is newer.
        data.put(&first, "more", b"of a").unwrap();
        let (rotated, other) = (owner("one", "c", &["x", "a"]), owner("other", "c", &["a"]));
        data.put(&owner("one", "c", &[]), "k", b"of c").unwrap();
        assert_eq!(data.get(&rotated, "more").unwrap().unwrap(), b"of a");
        assert_eq!(data.get(&rotated, "k").unwrap().unwrap(), b"of c");
        assert_eq!((data.keys(&first).unwrap(), data.keys(&other).unwrap()), (vec!["k".to_owned()], Vec::new()));
        assert_eq!(data.plugins().unwrap(), ["one"]);
        data.remove_plugin(&first.plugin).unwrap();
        assert!([first, second, rotated].iter().all(|owner| data.keys(owner).unwrap().is_empty()));
    }

    /// What a program left that knew no makers goes to whoever has that name.
    #[test]
    fn nothing_of_before_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let (one, two) = (owner("one", "a", &[]), owner("two", "b", &[]));
        let older = "CREATE TABLE state (plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
            PRIMARY KEY (plugin, key)) STRICT, WITHOUT ROWID;
            INSERT INTO state VALUES ('one', 'k', x'00ff'), ('one', 'l', x''), ('two', 'k', x'01'), ('gone', 'k', x'02')";
        PluginData::open(&home).unwrap().connection.execute_batch(older).unwrap();
        let data = PluginData::open(&home).unwrap();
        data.check().unwrap();
        assert_eq!(data.plugins().unwrap(), ["gone", "one", "two"]);
        assert_eq!(data.get(&one, "k").unwrap().unwrap(), b"\0\xff");
        assert_eq!(data.keys(&one).unwrap(), ["k", "l"]);
        assert!(data.keys(&owner("one", "b", &[])).unwrap().is_empty());
        drop(data);
        let data = PluginData::open(&home).unwrap();
        data.put(&two, "new", b"x").unwrap();
        assert_eq!((data.keys(&one).unwrap().len(), data.keys(&two).unwrap().len()), (2, 2));
        assert_eq!(data.plugins().unwrap(), ["gone", "one", "two"]);
        data.remove_plugin(&"gone".parse().unwrap()).unwrap();
        assert_eq!(data.plugins().unwrap(), ["one", "two"]);
    }

    #[test]
    fn state_is_kept_for_each_plugin_within_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let data = PluginData::open(&home).unwrap();
        let (one, other) = (owner("one", "a", &[]), owner("other", "a", &[]));
        data.put(&one, "k\0é", b"\0\xff").unwrap();
        data.put(&one, "k\0é", b"again").unwrap();
        assert_eq!(PluginData::open(&home).unwrap().get(&one, "k\0é").unwrap().unwrap(), b"again");
        assert_eq!(data.get(&other, "k\0é").unwrap(), None);
        let value = vec![7; STATE_VALUE_MAX];
        let mut stored = 0;
        while data.put(&one, &format!("key-{stored:02}"), &value).is_ok() {
            stored += 1;
        }
        assert_eq!(stored, STATE_TOTAL_MAX / STATE_VALUE_MAX - 1);
        // Replacing does not count twice, and the other plugin has room of its own.
        data.put(&one, "key-00", &value).unwrap();
        data.put(&other, "key", &value).unwrap();
        assert!(matches!(data.put(&other, "big", &[&value[..], b"x"].concat()), Err(StoreError::Limit { .. })));
        for key in ["", &"k".repeat(STATE_KEY_MAX + 1)] {
            assert!(matches!(data.put(&other, key, b""), Err(StoreError::Limit { .. })));
            assert!(matches!(data.get(&other, key), Err(StoreError::Limit { .. })));
        }
        data.delete(&one, "key-00").unwrap();
        data.delete(&one, "key-00").unwrap();
        assert_eq!(data.keys(&one).unwrap()[..2], ["k\0é", "key-01"]);
        data.remove_plugin(&one.plugin).unwrap();
        assert!(data.keys(&one).unwrap().is_empty());
        assert_eq!(data.keys(&other).unwrap(), ["key"]);
    }

    #[test]
    fn many_processes_open_and_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        drop(Home::open(&path).unwrap());
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let data = PluginData::open(&Home::open(&path).unwrap()).unwrap();
                    let name = owner("counter", "a", &[]);
                    for round in 0..5 {
                        data.put(&name, &format!("{number}-{round}"), b"x").unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let data = PluginData::open(&Home::open(&path).unwrap()).unwrap();
        assert_eq!(data.keys(&owner("counter", "a", &[])).unwrap().len(), 40);
    }
}
