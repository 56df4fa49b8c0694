//! The grammar of paths inside a package: what passes is safe to join to a directory on any file system.

use std::collections::BTreeSet;

use super::PackageError;

/// The longest path in bytes.
pub const PATH_MAX: usize = 200;
/// The most parts a path may have.
pub const DEPTH_MAX: usize = 8;

/// Names at the top of an archive that are not files of the plugin.
const RESERVED: [&str; 2] = ["index", "index.sig"];

/// Checks one path: relative, parts of `[A-Za-z0-9._-]` that start with a letter, a digit or an underscore. So `.`,
/// `..`, empty parts, hidden files and names that a program would read as an option are all out by one rule.
///
/// # Errors
/// The rule that is broken.
pub fn check(path: &str) -> Result<(), PackageError> {
    let refuse = |reason| Err(PackageError::Path { path: path.to_owned(), reason });
    if path.is_empty() || path.len() > PATH_MAX {
        return refuse("a path has 1 to 200 bytes");
    }
    if path.split('/').count() > DEPTH_MAX {
        return refuse("a path has at most 8 parts");
    }
    for part in path.split('/') {
        if !part.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_') {
            return refuse("each part starts with a letter, a digit or an underscore");
        }
        if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return refuse("a part has only letters, digits, dots, underscores and dashes");
        }
    }
    if RESERVED.contains(&path.to_ascii_lowercase().as_str()) {
        return refuse("the package keeps its own data under that name");
    }
    if !fits_ustar(path) {
        return refuse("it does not fit the name fields of a ustar header");
    }
    Ok(())
}

/// Checks that no two paths are equal when case is ignored, and that none is a directory of another.
///
/// # Errors
/// The later path of a conflicting pair.
pub fn check_set<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> Result<(), PackageError> {
    let mut files = BTreeSet::new();
    for path in paths.clone() {
        if !files.insert(path.to_ascii_lowercase()) {
            let reason = "another file has this name, upper and lower case being equal";
            return Err(PackageError::Duplicate { path: path.to_owned(), reason });
        }
    }
    let mut directories = BTreeSet::new();
    for path in paths {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            let folded = parent.to_ascii_lowercase();
            if files.contains(&folded) {
                let reason = "a part of it is a file";
                return Err(PackageError::Duplicate { path: path.to_owned(), reason });
            }
            directories.insert((folded, parent));
        }
    }
    let mut folded = BTreeSet::new();
    match directories.iter().find(|(name, _)| !folded.insert(name)) {
        None => Ok(()),
        Some((_, parent)) => {
            let reason = "another directory has this name, upper and lower case being equal";
            Err(PackageError::Duplicate { path: (*parent).to_owned(), reason })
        }
    }
}

/// A ustar header holds 100 bytes of name and, split at a slash, 155 of prefix.
fn fits_ustar(path: &str) -> bool {
    path.len() <= 100 || path.match_indices('/').any(|(at, _)| at <= 155 && path.len() - at - 1 <= 100)
}

#[cfg(test)]
mod tests;
