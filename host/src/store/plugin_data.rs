//! Keyed state of plugins in one SQLite database: durable when a call returns, capped for each plugin, kept over
//! upgrades and reinstalls until it is purged.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use migraine_plugin_api::{STATE_KEY_MAX, STATE_TOTAL_MAX, STATE_VALUE_MAX};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::error::StoreError;
use super::home::Home;
use crate::ids::PluginName;

pub(super) const DATA: &str = "data";
pub(super) const DATABASE: &str = "plugins.db";
/// How long a call waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);
const BUSY_PAUSE: Duration = Duration::from_millis(5);
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS state (plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (plugin, key)) STRICT, WITHOUT ROWID";
/// Bytes of keys and values of one plugin, one key left out.
const SIZE_OF_OTHERS: &str = "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) FROM state
    WHERE plugin = ?1 AND key <> ?2";

/// The open database.
#[derive(Debug)]
pub struct PluginData {
    connection: Connection,
    path: PathBuf,
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
        let data = Self { connection, path };
        data.prepare().map_err(|source| data.failed("prepare", source))?;
        Ok(data)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
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
        self.connection.execute(SCHEMA, []).map(drop)
    }

    fn failed(&self, step: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Database { step, path: self.path.clone(), source: Box::new(source) }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// The key is empty or too long, or the database cannot be read.
    pub fn get(&self, plugin: &PluginName, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let sql = "SELECT value FROM state WHERE plugin = ?1 AND key = ?2";
        let found = self.connection.query_row(sql, params![plugin.as_str(), key], |row| row.get(0)).optional();
        found.map_err(|source| self.failed("read", source))
    }

    /// Stores a value under a key; durable when this returns.
    ///
    /// # Errors
    /// The key or the value is too long, all state of the plugin would be, or the database cannot be written.
    pub fn put(&self, plugin: &PluginName, key: &str, value: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        if value.len() > STATE_VALUE_MAX {
            let what = format!("the value under `{}` has {} bytes", key.escape_debug(), value.len());
            return Err(StoreError::Limit { what: format!("{what}, at most {STATE_VALUE_MAX} are stored") });
        }
        let fits = self.put_if_it_fits(plugin, key, value).map_err(|source| self.failed("write", source))?;
        if fits {
            return Ok(());
        }
        let what = format!("the state of {plugin} would have more than {STATE_TOTAL_MAX} bytes");
        Err(StoreError::Limit { what })
    }

    fn put_if_it_fits(&self, plugin: &PluginName, key: &str, value: &[u8]) -> rusqlite::Result<bool> {
        // Immediate: two writers must not both measure before either has written.
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let others: i64 = transaction.query_row(SIZE_OF_OTHERS, params![plugin.as_str(), key], |row| row.get(0))?;
        let others = usize::try_from(others).unwrap_or(usize::MAX);
        if others.saturating_add(key.len()).saturating_add(value.len()) > STATE_TOTAL_MAX {
            return Ok(false);
        }
        let sql = "INSERT INTO state VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
        transaction.execute(sql, params![plugin.as_str(), key, value])?;
        transaction.commit()?;
        Ok(true)
    }

    /// Removes a key; one that is not there is fine.
    ///
    /// # Errors
    /// The key is empty or too long, or the database cannot be written.
    pub fn delete(&self, plugin: &PluginName, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        let sql = "DELETE FROM state WHERE plugin = ?1 AND key = ?2";
        let done = self.connection.execute(sql, params![plugin.as_str(), key]);
        done.map(drop).map_err(|source| self.failed("write", source))
    }

    /// Every key that holds a value, sorted.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn keys(&self, plugin: &PluginName) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut query = self.connection.prepare("SELECT key FROM state WHERE plugin = ?1 ORDER BY key")?;
            query.query_map([plugin.as_str()], |row| row.get(0))?.collect()
        };
        read().map_err(|source| self.failed("read", source))
    }

    /// Every plugin that has state, sorted.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn plugins(&self) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut query = self.connection.prepare("SELECT DISTINCT plugin FROM state ORDER BY plugin")?;
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

    /// Removes all state of a plugin.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove_plugin(&self, plugin: &PluginName) -> Result<(), StoreError> {
        let done = self.connection.execute("DELETE FROM state WHERE plugin = ?1", [plugin.as_str()]);
        done.map(drop).map_err(|source| self.failed("write", source))
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

    #[test]
    fn state_is_kept_for_each_plugin_within_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let data = PluginData::open(&home).unwrap();
        let (one, other): (PluginName, PluginName) = ("one".parse().unwrap(), "other".parse().unwrap());
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
        data.remove_plugin(&one).unwrap();
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
                    let name = "counter".parse().unwrap();
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
        assert_eq!(data.keys(&"counter".parse().unwrap()).unwrap().len(), 40);
    }
}
