//! What every verb needs: where to write, where the home directory is, what time it is. The environment is read here and
//! nowhere else.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{Failure, GlobalArgs, Out};
use crate::code::{Code, Exit};
use crate::ids::PluginName;
use crate::manage::Directories;
use crate::policy::SYSTEM_STORE;
use crate::store::{Home, StoreError, home_path, user_homes};
use crate::text::safe_line;

/// One run of the command line.
#[derive(Debug)]
pub struct Session {
    /// Where results go.
    pub out: Out,
    /// Whether to show more.
    pub verbose: bool,
    home: Result<PathBuf, StoreError>,
    store: Which,
    /// Why the system store is not used, once that is known.
    problem: RefCell<Arc<OnceLock<StoreError>>>,
}

/// What a session works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// A home by itself.
    Alone,
    /// The user's home, with the system store behind it.
    User,
    /// The system store.
    System,
}

impl Session {
    /// A session of an embedding program, with a home directory of its own choice. The system store is not its business.
    #[must_use]
    pub fn new(home: &Path, out: Out, verbose: bool) -> Self {
        Self { out, verbose, home: Ok(home.to_owned()), store: Which::Alone, problem: RefCell::default() }
    }

    /// A session as the environment says: `MIGRAINE_HOME` or `HOME`, the locale, `NO_COLOR`.
    #[must_use]
    pub fn from_environment(global: &GlobalArgs) -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text).unwrap_or_default().to_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let no_color = text("NO_COLOR").is_some() || text("TERM").is_some_and(|term| term == "dumb");
        let home = home_path(std::env::var_os("MIGRAINE_HOME"), std::env::var_os("HOME"));
        let out = Out::new(global.format, utf8, no_color);
        Self { out, verbose: global.verbose, home, store: Which::User, problem: RefCell::default() }
    }

    /// The same for the system store.
    ///
    /// # Errors
    /// The program that this is part of has a store of its own.
    pub(super) fn of_system(&self) -> Result<Self, Failure> {
        if self.store == Which::Alone {
            return Err(Failure::usage(
                "this program has a store of its own, and no part in the system store".to_owned(),
            ));
        }
        let (out, home) = (self.out.clone(), Ok(PathBuf::from(SYSTEM_STORE)));
        Ok(Self { out, verbose: self.verbose, home, store: Which::System, problem: RefCell::default() })
    }

    /// The open home directory.
    ///
    /// # Errors
    /// It is not usable.
    pub fn home(&self) -> Result<Home, Failure> {
        match &self.home {
            Ok(_) if self.store == Which::System => Ok(Home::open_system()?),
            Ok(path) => self.opened(path).map_err(Failure::from),
            Err(error) => {
                use crate::code::Coded as _;
                Err(Failure::new(error.code(), error.to_string(), error.help()))
            }
        }
    }

    /// Opens a home, with the system store behind it where that is this program's.
    pub(super) fn opened(&self, path: &Path) -> Result<Home, StoreError> {
        let home = Home::open(path)?;
        if self.store != Which::User {
            return Ok(home);
        }
        let home = home.with_system();
        self.problem.replace(home.system_problem());
        Ok(home)
    }

    /// Whether the system store is behind its home.
    pub(super) fn has_system(&self) -> bool {
        self.store == Which::User
    }

    /// Where the home directory is; it is not opened.
    pub(super) fn place(&self) -> Result<&Path, &StoreError> {
        self.home.as_deref()
    }

    /// Writes how a verb ended; the result is what the process ends with.
    #[must_use]
    pub fn finish(&self, done: Result<(), Failure>) -> Exit {
        if let Some(problem) = self.problem.borrow().get() {
            self.out.warning(&format!("nothing of the system store is used: {problem}"));
        }
        match done {
            Ok(()) => Exit::Ok,
            Err(failure) => {
                self.out.failure(&failure, self.verbose);
                failure.exit()
            }
        }
    }
}

/// What a person means by a directory: the working directory and the user's own.
pub(super) fn directories(home: &Home) -> Result<Directories, Failure> {
    let working = std::env::current_dir().map_err(|error| {
        let message = format!("the working directory cannot be found: {error}");
        Failure::new(Code::Io, message, Some("run the command in a directory that exists".to_owned()))
    })?;
    Ok(Directories::new(home, &user_homes(), &working))
}

/// The time in whole seconds: RFC 3339, UTC.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// A word that names a plugin; one that cannot be a name names none.
pub(super) fn plugin_name(word: &str) -> Result<PluginName, Failure> {
    word.parse().map_err(|_| {
        let message = format!("there is no plugin `{}`", safe_line(word));
        let help = "run `migraine plugin list` to see what is installed".to_owned();
        Failure::new(Code::PluginNotFound, message, Some(help))
    })
}
