//! Loading the system's own libraries before the root goes away.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::OnceLock;

/// Maps a system library by its soname and keeps it for ever; later `DT_NEEDED` entries of that name find it mapped.
///
/// # Errors
/// The dynamic loader's text.
pub(crate) fn preload(soname: &str) -> Result<(), String> {
    // Found once: dladdr(3) goes through all of the library's symbols.
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    // By its path no search is needed; each would map the loader's cache anew (ld.so(8)). GCC's own may lie elsewhere, and is
    // loaded with this program: by another path it would be loaded twice.
    let is_gccs = soname.starts_with("libgcc");
    let directory = if is_gccs { &None } else { DIRECTORY.get_or_init(directory_of_libc) };
    let beside = directory.as_ref().map(|directory| directory.join(soname));
    let library = match beside.map(|path| open(path.as_os_str())) {
        Some(Ok(library)) => library,
        _ => open(soname.as_ref())?,
    };
    std::mem::forget(library);
    Ok(())
}

fn open(name: &OsStr) -> Result<libloading::Library, String> {
    // SAFETY: dlopen(3) runs the library's constructors; callers pass only names of the C library's own set, which come
    // from the system's library path, before anything of a plugin is near.
    unsafe { libloading::Library::new(name) }.map_err(|error| error.to_string())
}

/// Where the C library that this program runs with lies, and the rest of its set beside it (dladdr(3)).
fn directory_of_libc() -> Option<PathBuf> {
    let mut found =
        libc::Dl_info { dli_fname: null_mut(), dli_fbase: null_mut(), dli_sname: null_mut(), dli_saddr: null_mut() };
    // SAFETY: dladdr(3) only compares the address with those of mapped libraries, and writes through a valid pointer.
    let outcome = unsafe { libc::dladdr(libc::getpid as *const libc::c_void, &raw mut found) };
    if outcome == 0 || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the path of a library that stays mapped, ended by a zero byte.
    let path = unsafe { CStr::from_ptr(found.dli_fname) };
    let directory = Path::new(OsStr::from_bytes(path.to_bytes())).parent()?;
    directory.is_absolute().then(|| directory.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_of_the_c_library_lies_beside_it() {
        let directory = directory_of_libc().unwrap();
        assert!(directory.join("libc.so.6").is_file(), "{}", directory.display());
        preload("libc.so.6").unwrap();
        assert!(preload("libof-nobody.so.0").unwrap_err().contains("libof-nobody.so.0"));
    }
}
