//! Packages on servers. What arrives is worth no more than any other file: signature, key and policy decide.

use std::sync::Arc;

use super::ManageError;
use crate::fetch::{Begun, FetchError, Fetched, Part, Settings, Unkept, Wanted, Watch, get};
use crate::package::PACKAGE_MAX;
use crate::store::{Home, PartFile};
use crate::url::{FileVersion, Url};

/// A package that was fetched.
#[derive(Debug, Clone)]
pub struct Download {
    /// Where it was asked for, before any redirection.
    pub url: Url,
    /// Which version it is, in the server's words.
    pub version: FileVersion,
    /// The file.
    pub(super) bytes: Arc<Vec<u8>>,
}

/// How servers are asked, and who is told.
pub struct Online<'a> {
    /// How.
    pub settings: &'a Settings,
    /// Who.
    pub watch: &'a mut dyn Watch,
}

/// Fetches a package; nothing of it is judged yet. A place without the name of a package is tried as `PLACE/plugin.mgp`
/// first. A download that was interrupted goes on; with `keep` off nothing is written to the disk at all. With a `known`
/// version of exactly this address, `None` says that the server still has that one.
///
/// # Errors
/// There is nothing at the address, or it could not be fetched; a policy file cannot be read.
pub fn download(
    home: &Home,
    url: &Url,
    known: Option<&FileVersion>,
    keep: bool,
    online: &mut Online<'_>,
) -> Result<Option<Download>, ManageError> {
    let policy = home.policy()?;
    let proxies = online.settings.proxies.clone().with_policy(policy.proxy());
    let settings = Settings { proxies, ..online.settings.clone() };
    let most = policy.plugin_size().min(u64::try_from(PACKAGE_MAX).unwrap_or(u64::MAX));
    let candidates = url.candidates();
    let mut tried = Vec::new();
    for candidate in &candidates {
        let wanted = Wanted { url: candidate.clone(), most, known: known.cloned() };
        // Where nothing can be kept, it comes all the same.
        let part = if keep { PartFile::open(home, &candidate.kept()).unwrap_or(None) } else { None };
        match one(&wanted, &settings, part, online.watch) {
            Ok(Fetched::Known) => return Ok(None),
            // A place may well be a page about the plugin; what is named as a package never is.
            Ok(Fetched::File { is_page: true, .. }) if candidates.len() > 1 => {
                tried.push((candidate.clone(), "a page for people".to_owned()));
            }
            Ok(Fetched::File { bytes, version, .. }) => {
                return Ok(Some(Download { url: candidate.clone(), version, bytes: Arc::new(bytes) }));
            }
            Err(error) if error.is_absence() => {
                tried.push((candidate.clone(), "there is no such file".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ManageError::NothingThere { tried })
}

fn one(
    wanted: &Wanted,
    settings: &Settings,
    part: Option<PartFile>,
    watch: &mut dyn Watch,
) -> Result<Fetched, FetchError> {
    match part {
        Some(part) => get(wanted, settings, &mut Kept(part), watch),
        None => get(wanted, settings, &mut Unkept, watch),
    }
}

/// A part in the store.
struct Kept(PartFile);

impl Part for Kept {
    fn begun(&self) -> Option<Begun> {
        let (etag, size, total) = self.0.begun()?;
        Some(Begun { etag: etag.to_owned(), size, total })
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.0.bytes()
    }

    fn begin(&mut self, etag: &str, total: u64) {
        self.0.begin(etag, total);
    }

    fn add(&mut self, piece: &[u8]) {
        self.0.add(piece);
    }

    fn discard(&mut self) {
        self.0.discard();
    }
}
