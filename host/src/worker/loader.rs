//! The only place where a plugin's library is opened. Its constructors run inside the call, so the jail stands before.

use std::path::{Path, PathBuf};

use abi_stable::abi_stability::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility, check_layout_compatibility_with_globals,
};
use abi_stable::library::{LibHeader, LibraryError, lib_header_from_path};
use abi_stable::std_types::{RResult, RVec};
use migraine_plugin_api::abi::{HostObject, PluginObject, RootModule_Ref};
use migraine_plugin_api::private::CreateBody;
use migraine_plugin_api::{API_VERSION, ApiVersion, PluginError};

use super::jail::root::{CODE, CODE_COPY};
use super::numbers;
use crate::controls::{Check, makes};
use crate::package::target::OWN;
use crate::sys;
use crate::wire::{LoadBy, LoadFailure};

/// A plugin that was opened and checked.
pub(super) struct Loaded {
    module: RootModule_Ref,
    pub(super) api_version: ApiVersion,
}

/// Where the verified bytes are opened: among the worker's own descriptors, or as its copy.
pub(super) fn place(load_by: LoadBy, own_root: bool) -> PathBuf {
    match load_by {
        LoadBy::Procfs if own_root => Path::new(CODE).join(numbers::CODE.to_string()),
        LoadBy::Procfs => Path::new("/proc/self/fd").join(numbers::CODE.to_string()),
        LoadBy::Copy => CODE_COPY.into(),
    }
}

/// Does what the start of a plugin does and no plugin is needed for: the pages that it touches are then this process's own
/// before anybody waits for them. What it learns is forgotten.
pub(super) fn rehearse() {
    // They are loaded already: the loader's own pages.
    for library in OWN.libraries {
        let _ = sys::dl::preload(library);
    }
    let layout = <RootModule_Ref as StableAbi>::LAYOUT;
    let _ = check_layout_compatibility_with_globals(layout, layout, &CheckingGlobals::new());
}

/// Opens the library and checks its interface both ways: an older plugin on this host and a newer plugin's subset both
/// load when one layout extends the other.
///
/// # Errors
/// The library cannot be opened, is no plugin, or has another interface.
pub(super) fn open(code: &Path) -> Result<Loaded, LoadFailure> {
    let header = lib_header_from_path(code).map_err(|error| describe(&error))?;
    let layout_of_plugin = header.layout().ok_or_else(|| LoadFailure::Abi {
        message: format!(
            "the plugin carries no layout of its interface, so it cannot be checked; build it with \
             migraine-plugin-api {API_VERSION} and its macros"
        ),
        trace: String::new(),
    })?;
    let layout_of_host = <RootModule_Ref as StableAbi>::LAYOUT;
    let module = match check_layout_compatibility(layout_of_host, layout_of_plugin) {
        Ok(()) => checked(header)?,
        // The plugin may be the older one: then its layout must be what the host's extends.
        Err(trace) => match check_layout_compatibility(layout_of_plugin, layout_of_host) {
            Ok(()) => checked(header)?,
            Err(_) => return Err(mismatch(&trace)),
        },
    };
    let version = module.api_version();
    let api_version = ApiVersion { major: version.major, minor: version.minor };
    if !api_version.runs_on(API_VERSION) && makes(Check::Interface) {
        return Err(LoadFailure::Abi { message: version_line(api_version), trace: String::new() });
    }
    Ok(Loaded { module, api_version })
}

#[expect(unsafe_code, reason = "abi_stable would check again, and in one direction only")]
fn checked(header: &'static LibHeader) -> Result<RootModule_Ref, LoadFailure> {
    // SAFETY: the callee wants the module's layout to be compatible with the type. The caller has checked that one of them
    // extends the other, and a prefix type reads the fields that are missing as absent.
    unsafe { header.init_root_module_with_unchecked_layout::<RootModule_Ref>() }.map_err(|error| describe(&error))
}

impl Loaded {
    /// Makes the plugin object.
    ///
    /// # Errors
    /// What the plugin's own constructor answered.
    pub(super) fn create(&self, host: HostObject, body: &CreateBody) -> Result<PluginObject, LoadFailure> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| LoadFailure::Create { error: PluginError::failed(error.to_string()) })?;
        match self.module.create()(host, bytes.as_slice().into()) {
            RResult::ROk(plugin) => Ok(plugin),
            RResult::RErr(error) => Err(LoadFailure::Create { error: read_error(&error) }),
        }
    }
}

fn read_error(bytes: &RVec<u8>) -> PluginError {
    serde_json::from_slice(bytes).unwrap_or_else(|_| PluginError::failed("the plugin's error cannot be read"))
}

fn describe(error: &LibraryError) -> LoadFailure {
    match error {
        LibraryError::OpenError { err, .. } => LoadFailure::Library { message: chain(&**err) },
        LibraryError::GetSymbolError { .. } => {
            LoadFailure::NotAPlugin { message: "it exports no root module".to_owned() }
        }
        LibraryError::AbiInstability(trace) => LoadFailure::Abi { message: layout_line(), trace: trace.to_string() },
        other => LoadFailure::Abi { message: layout_line(), trace: other.to_string() },
    }
}

fn mismatch(trace: &AbiInstabilityErrors) -> LoadFailure {
    LoadFailure::Abi { message: layout_line(), trace: trace.to_string() }
}

fn layout_line() -> String {
    format!(
        "its interface is not the one of API {}.x; this host offers API {API_VERSION}: rebuild the plugin with \
         migraine-plugin-api {}.x",
        API_VERSION.major, API_VERSION.major
    )
}

fn version_line(plugin: ApiVersion) -> String {
    format!(
        "it was built for API {plugin}; this host offers API {}.0 to {API_VERSION}: install a newer migraine, or rebuild \
         the plugin with migraine-plugin-api {API_VERSION}",
        API_VERSION.major
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
