//! Loading the system's own libraries before the root goes away.

/// Maps a system library by its soname and keeps it for ever; later `DT_NEEDED` entries of that name find it mapped.
///
/// # Errors
/// The dynamic loader's text.
pub(crate) fn preload(soname: &str) -> Result<(), String> {
    // SAFETY: dlopen(3) runs the library's constructors; callers pass only names of the C library's own set, which come
    // from the system's library path, before anything of a plugin is near.
    let library = unsafe { libloading::Library::new(soname) }.map_err(|error| error.to_string())?;
    std::mem::forget(library);
    Ok(())
}
