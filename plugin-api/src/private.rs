//! What generated code and the worker use; nobody else may name it.

mod arguments;
mod outcome;
mod start;

use std::any::Any;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use abi_stable;
use abi_stable::library::RootModuleResult;
use abi_stable::prefix_type::{PrefixRef, WithMetadata};
use abi_stable::std_types::{RResult, RSlice, RStr, RVec};
pub use clap;
use serde::{Deserialize, Serialize};

use crate::abi::{AbiVersion, HostObject, PluginAbi, PluginModule, PluginObject, RootModule_Ref};
use crate::command::{CommandContext, Invocation};
use crate::context::Context;
use crate::error::{ErrorKind, PluginError};
use crate::permission::Permission;
use crate::plugin::Plugin;
use crate::services::{Config, Host, Services};
use crate::version::API_VERSION;

pub use arguments::{Argument, many, parse_args, parser, required};
pub use outcome::{CommandOutcome, HookOutcome, InitOutcome};
pub use start::{NotUnit, Start, StartDefault, StartNothing, StartUnit, Startable};

/// The body of the root module's `create`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CreateBody {
    /// The effective configuration.
    #[serde(default)]
    pub config: Config,
    /// The permissions that were granted.
    #[serde(default)]
    pub permissions: Vec<Permission>,
}

/// The symbol under which the worker looks for the root module.
pub use abi_stable::library::ROOT_MODULE_LOADER_NAME;

/// The constructor that the generated static points to.
pub extern "C" fn constructor<P: Plugin>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(Root::<P>::module)
}

struct Root<P>(std::marker::PhantomData<P>);

impl<P: Plugin> Root<P> {
    const MODULE: &'static WithMetadata<PluginModule> = &WithMetadata::new(PluginModule {
        api_version: AbiVersion { major: API_VERSION.major, minor: API_VERSION.minor },
        manifest: manifest::<P>,
        create: create::<P>,
    });

    fn module() -> RootModule_Ref {
        RootModule_Ref(PrefixRef::clone(&Self::MODULE.static_as_prefix()))
    }
}

extern "C" fn manifest<P: Plugin>() -> RStr<'static> {
    P::MANIFEST.into()
}

extern "C" fn create<P: Plugin>(host: HostObject, body: RSlice<'_, u8>) -> RResult<PluginObject, RVec<u8>> {
    guarded(|| {
        let body: CreateBody = serde_json::from_slice(body.as_slice())
            .map_err(|error| PluginError::new(ErrorKind::Invalid, format!("cannot read the configuration: {error}")))?;
        let host = Host::from_parts(Arc::new(Border(host)), body.config, body.permissions);
        let plugin = P::create(&host)?;
        Ok(PluginObject::from_value(
            Adapter { plugin, host, reused: Reused::default() },
            abi_stable::sabi_trait::TD_Opaque,
        ))
    })
}

/// The host object seen through the safe trait.
struct Border(HostObject);

impl Services for Border {
    fn call(&self, service: &str, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        self.0.call(service.into(), body.into()).into_result().map(RVec::into_vec).map_err(|error| read_error(&error))
    }

    #[expect(unsafe_code, reason = "a descriptor that arrives as a number must be taken into ownership")]
    fn descriptor(&self, service: &str, body: &[u8]) -> Result<OwnedFd, PluginError> {
        let fd = self.0.descriptor(service.into(), body.into()).into_result().map_err(|error| read_error(&error))?;
        if fd < 0 {
            return Err(PluginError::failed("the host answered with a negative descriptor"));
        }
        // SAFETY: from_raw_fd(3) wants an open descriptor that nobody else owns; the host object's contract is that the
        // caller owns what it returns, and negative numbers were refused.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

struct Adapter<P> {
    plugin: P,
    host: Host,
    /// Kept from one hook to the next: what never changes, and the space of a large output.
    reused: Reused,
}

#[derive(Default)]
struct Reused {
    output: Vec<u8>,
    config: Option<Config>,
    permissions: Option<Vec<Permission>>,
}

impl<P: Plugin> PluginAbi for Adapter<P> {
    fn hook(&mut self, context: RSlice<'_, u8>, output: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
        guarded(|| {
            let mut context: Context = serde_json::from_slice(context.as_slice())?;
            if context.output_size.is_some() {
                let mut space = std::mem::take(&mut self.reused.output);
                space.clear();
                space.extend_from_slice(output.as_slice());
                context.output = Some(space);
            }
            context.plugin_config = self.reused.config.take().unwrap_or_else(|| self.host.config().clone());
            context.permissions = self.reused.permissions.take().unwrap_or_else(|| self.host.permissions().to_vec());
            let result = self.plugin.hook(&context, &self.host);
            self.reused.output = context.output.take().unwrap_or_default();
            self.reused.config = Some(context.plugin_config);
            self.reused.permissions = Some(context.permissions);
            Ok(serde_json::to_vec(&result?)?.into())
        })
    }

    fn command(&mut self, invocation: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
        guarded(|| {
            let invocation: Invocation = serde_json::from_slice(invocation.as_slice())?;
            let mut context = CommandContext::new(self.host.clone(), invocation);
            self.plugin.command(&mut context)?;
            Ok(RVec::new())
        })
    }

    fn shutdown(&mut self) -> RResult<(), RVec<u8>> {
        guarded(|| {
            self.plugin.shutdown();
            Ok(())
        })
    }

    fn call(&mut self, operation: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
        guarded(|| self.plugin.call(operation.as_str(), body.as_slice()).map(Into::into))
    }
}

/// Runs author code: an error or a panic becomes a serialized [`PluginError`], never an unwind across the border.
fn guarded<T>(work: impl FnOnce() -> Result<T, PluginError>) -> RResult<T, RVec<u8>> {
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(panicked(payload.as_ref())));
    outcome.map_err(|error| serde_json::to_vec(&error).unwrap_or_default().into()).into()
}

fn panicked(payload: &(dyn Any + Send)) -> PluginError {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    PluginError::new(ErrorKind::Panic, format!("the plugin panicked: {text}"))
}

fn read_error(bytes: &RVec<u8>) -> PluginError {
    serde_json::from_slice(bytes).unwrap_or_else(|_| PluginError::failed("the host's answer is not an error"))
}

/// The error for a handler or command that the plugin does not have.
#[must_use]
pub fn unknown(what: &str, name: &str) -> PluginError {
    PluginError::new(ErrorKind::Unsupported, format!("this plugin has no {what} `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exported_symbol_is_the_one_the_macro_writes() {
        assert_eq!(ROOT_MODULE_LOADER_NAME, "_1as_0lib_1header_0root_bmodule_bloader");
    }
}
