//! The frozen binary interface between a worker and a plugin: one root module, one plugin object, one host object.
//!
//! Types here never grow fields and methods are never reordered: bodies are serialized bytes, and whatever comes later
//! goes through `call`. Authors never name this module; the worker and the generated code do.
#![expect(unsafe_code, reason = "sabi_trait and StableAbi expand to unsafe impls; nothing here is hand-written unsafe")]
#![expect(non_local_definitions, reason = "sabi_trait implements its traits inside a constant")]
#![expect(missing_docs, reason = "sabi_trait emits undocumented items")]
#![allow(unused_qualifications, reason = "tokens emitted by abi_stable")]
#![allow(clippy::all, clippy::pedantic, reason = "tokens emitted by abi_stable")]
#![allow(non_camel_case_types, reason = "abi_stable names the reference type of a prefix type with _Ref")]

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_trait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RResult, RSlice, RStr, RVec};

/// The version of the interface a plugin was built with, read by the worker before anything else.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbiVersion {
    pub major: u32,
    pub minor: u32,
}

/// The one value that a plugin library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootModule_Ref)))]
pub struct PluginModule {
    pub api_version: AbiVersion,
    /// The manifest as JSON, the same bytes as in the `.migraine.manifest` section.
    pub manifest: extern "C" fn() -> RStr<'static>,
    /// Makes the plugin object; the body is a serialized [`crate::private::CreateBody`].
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(HostObject, RSlice<'_, u8>) -> RResult<PluginObject, RVec<u8>>,
}

impl RootModule for RootModule_Ref {
    abi_stable::declare_root_module_statics! {RootModule_Ref}
    const BASE_NAME: &'static str = "migraine_plugin";
    const NAME: &'static str = "migraine_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

/// What the worker asks of a plugin. Every body is serialized; every error is a serialized [`crate::PluginError`].
#[sabi_trait]
pub trait PluginAbi: Send {
    /// A subscribed event: the context as JSON, the captured output as a raw segment.
    fn hook(&mut self, context: RSlice<'_, u8>, output: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>;
    /// A command that the manifest declares.
    fn command(&mut self, invocation: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>;
    /// The last call: free what must be freed.
    fn shutdown(&mut self) -> RResult<(), RVec<u8>>;
    /// An operation added after version 1.0; an unknown one answers `Unsupported`.
    #[sabi(last_prefix_field)]
    fn call(&mut self, operation: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>;
}

/// What a plugin asks of the host, by service name.
#[sabi_trait]
pub trait HostAbi: Send + Sync + Clone {
    /// One request, one answer; an unknown service answers `Unsupported`.
    fn call(&self, service: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>;
    /// A request whose answer is an open file descriptor, owned by the caller from then on.
    #[sabi(last_prefix_field)]
    fn descriptor(&self, service: RStr<'_>, body: RSlice<'_, u8>) -> RResult<i32, RVec<u8>>;
}

/// A plugin behind the interface.
pub type PluginObject = PluginAbi_TO<'static, RBox<()>>;
/// The host behind the interface.
pub type HostObject = HostAbi_TO<'static, RBox<()>>;
