//! An operation, the disk that it begins with, and what undisturbed runs of it do: found out once for all tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use super::operation::{Kit, OPERATIONS, Operation};
use super::oracle::Oracle;
use super::place::Place;
use super::tracer::{Inject, Traced, run};
use super::tree::Tree;
use crate::run::User;

/// An operation of a user.
#[derive(Debug)]
pub struct Subject {
    /// What is done.
    pub operation: &'static Operation,
    /// Who does it.
    pub user: User,
    /// Judges what it leaves.
    pub oracle: Oracle,
    before: Arc<Tree>,
    watched: OnceLock<(PathBuf, Traced)>,
}

impl Subject {
    /// That of this operation and user.
    ///
    /// # Panics
    /// What comes before the operation fails, or an undisturbed run does.
    #[must_use]
    pub fn of(operation: &'static Operation, user: User) -> &'static Self {
        static ALL: LazyLock<Vec<[OnceLock<Subject>; 2]>> =
            LazyLock::new(|| OPERATIONS.iter().map(|_| [OnceLock::new(), OnceLock::new()]).collect());
        let at = OPERATIONS.iter().position(|known| known.name == operation.name).expect("it is in the table");
        ALL[at][usize::from(user == User::Plain)].get_or_init(|| Self::new(operation, user))
    }

    fn new(operation: &'static Operation, user: User) -> Self {
        let kit = Kit::of(user);
        let before = operation.before(kit);
        let oracle = Oracle::new(operation, kit, &before);
        Self { operation, user, oracle, before, watched: OnceLock::new() }
    }

    /// The disk before the operation.
    pub(super) fn before(&self) -> &Tree {
        &self.before
    }

    /// A place with that disk.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::holding(&self.before, self.user)
    }

    /// A run with something done to it.
    pub(super) fn traced(&self, place: &Place, inject: Inject) -> Traced {
        run(place.traced(self.oracle.words()), place.path(), inject)
    }

    /// An undisturbed run, and the folder that it ran in.
    pub(super) fn watched(&self) -> (&Path, &Traced) {
        let (folder, run) = self.watched.get_or_init(|| {
            let place = self.place();
            (place.path().to_owned(), self.traced(&place, Inject::Nothing))
        });
        (folder, run)
    }
}
