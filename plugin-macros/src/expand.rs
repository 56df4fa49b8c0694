//! Typed form → tokens. The only place that emits `unsafe`; it carries the macro's own span, so that it compiles in a
//! crate that forbids unsafe code and is guarded by review here. Never re-span it.

mod command;

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Item, ItemImpl, ReturnType, Type};

use crate::ast::{Method, ParamKind, Plugin, RoleKind};
use crate::error::Errors;
use crate::{fallback, manifest, valid};

/// The whole macro.
pub(crate) fn plugin(args: TokenStream, item: &TokenStream) -> TokenStream {
    let block = match read_block(item.clone()) {
        Ok(block) => block,
        Err(error) => return fallback::item(&error, item),
    };
    let mut errors = Errors::default();
    let plugin = Plugin::parse(args, block, &mut errors);
    let name = manifest::name(&plugin);
    valid::check(&plugin, &name, &mut errors);
    match errors.into_result() {
        Ok(()) => expand(&plugin, &name),
        Err(error) => fallback::plugin(&error, &plugin),
    }
}

/// The span of a token of the author with the hygiene of the macro: errors point there, lints stay silent.
fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

fn read_block(item: TokenStream) -> syn::Result<ItemImpl> {
    match syn::parse2::<Item>(item)? {
        Item::Impl(block) => Ok(block),
        other => {
            let message = "`#[plugin]` stands on an impl block of the plugin's type: `impl MyPlugin { ... }`";
            Err(syn::Error::new_spanned(other, message))
        }
    }
}

fn expand(plugin: &Plugin, name: &str) -> TokenStream {
    let block = relaxed(plugin);
    let ty = &*plugin.block.self_ty;
    let manifest = manifest::render(plugin, name);
    let (unit, create) = create(plugin, ty);
    let hook = hook(plugin);
    let command = command::dispatch(plugin, name);
    let shutdown = shutdown(plugin);
    let exports = exports(ty, &manifest);
    let implemented = quote_spanned!(at(ty.span())=> ::migraine_plugin_api::Plugin);
    quote! {
        #block
        #unit
        const _: () = {
            use ::migraine_plugin_api::private as support;

            impl #implemented for #ty {
                const MANIFEST: &'static str = #manifest;
                #create
                #hook
                #command
                #shutdown
            }

            #exports
        };
    }
}

/// The author's block; a command owns its parsed arguments whether or not it uses them up.
fn relaxed(plugin: &Plugin) -> ItemImpl {
    let mut block = plugin.block.clone();
    for item in &mut block.items {
        let syn::ImplItem::Fn(function) = item else { continue };
        if plugin.commands().any(|(method, _)| method.ident == function.sig.ident) {
            function.attrs.push(syn::parse_quote!(#[allow(
                clippy::needless_pass_by_value,
                clippy::fn_params_excessive_bools,
                clippy::too_many_arguments,
                reason = "the arguments are those of the command line"
            )]));
        }
    }
    block
}

/// The constructor, and what must stand beside the block for it.
fn create(plugin: &Plugin, ty: &Type) -> (TokenStream, TokenStream) {
    let (unit, made) = match plugin.only(|kind| matches!(kind, RoleKind::Init)) {
        Some(init) => (TokenStream::new(), call_init(init, ty)),
        None => start(ty),
    };
    let create = quote! {
        fn create(
            host: &::migraine_plugin_api::Host,
        ) -> ::core::result::Result<Self, ::migraine_plugin_api::PluginError> {
            let _ = host;
            #made
        }
    };
    (unit, create)
}

fn call_init(init: &Method, ty: &Type) -> TokenStream {
    let ident = &init.ident;
    let host = init.params.first().map(|_| quote!(host));
    outcome(init, &quote!(InitOutcome::<Self>), &quote!(<#ty>::#ident(#host)))
}

/// Without `#[init]`: `Default`, else the type's own name as a value, which only a unit struct has. A glob import has a
/// lower rank than the struct beside it, so for every other type the name stands for `NotUnit`.
fn start(ty: &Type) -> (TokenStream, TokenStream) {
    let name = match ty {
        Type::Path(path) => path.path.get_ident(),
        _ => None,
    };
    let (unit, value) = match name {
        Some(name) => {
            let module = format_ident!("__migraine_start_of_{name}", span = Span::call_site());
            let unit = quote! {
                #[doc(hidden)]
                #[allow(non_snake_case, reason = "named after the type")]
                mod #module {
                    #[allow(non_upper_case_globals, dead_code, reason = "named after the type")]
                    pub(super) const #name: ::migraine_plugin_api::private::NotUnit =
                        ::migraine_plugin_api::private::NotUnit;
                }
                #[allow(unused_imports, reason = "a unit struct hides it")]
                use #module::*;
            };
            (unit, name.to_token_stream())
        }
        None => (TokenStream::new(), quote!(support::NotUnit)),
    };
    let call = quote_spanned!(at(ty.span())=> start);
    let made = quote! {
        {
            use support::{StartDefault as _, StartNothing as _, StartUnit as _};
            let start = support::Start::<_, #ty>::new(|| #value);
            ::core::result::Result::Ok((&&&start).#call())
        }
    };
    (unit, made)
}

fn hook(plugin: &Plugin) -> TokenStream {
    let arms = plugin.methods.iter().filter(|method| method.hooks().next().is_some()).map(|method| {
        let (name, ident) = (method.name(), &method.ident);
        let arguments = method.params.iter().map(|param| match param.kind {
            ParamKind::Host(_) => quote!(host),
            _ => quote!(context),
        });
        let outcome = outcome(method, &quote!(HookOutcome), &quote!(self.#ident(#(#arguments),*)));
        quote!(#name => { #outcome })
    });
    quote! {
        fn hook(
            &mut self,
            context: &::migraine_plugin_api::Context,
            host: &::migraine_plugin_api::Host,
        ) -> ::core::result::Result<::migraine_plugin_api::HookResult, ::migraine_plugin_api::PluginError> {
            let _ = host;
            match ::core::convert::AsRef::<str>::as_ref(&context.handler) {
                #(#arms)*
                other => ::core::result::Result::Err(support::unknown("handler", other)),
            }
        }
    }
}

fn shutdown(plugin: &Plugin) -> Option<TokenStream> {
    let ident = &plugin.only(|kind| matches!(kind, RoleKind::Shutdown))?.ident;
    Some(quote! {
        fn shutdown(&mut self) {
            self.#ident()
        }
    })
}

/// Calls a method and turns what it returns into the answer; an error about it points at the return type.
fn outcome(method: &Method, converter: &TokenStream, call: &TokenStream) -> TokenStream {
    let span = match &method.signature.output {
        ReturnType::Default => method.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let returned = Ident::new("returned", at(span));
    quote! {
        let #returned = #call;
        support::#converter::into_outcome(#returned)
    }
}

/// What the library shows to the outside: the manifest section and the root module. Left out of test builds, where many
/// plugins may stand in one program.
fn exports(ty: &Type, manifest: &str) -> TokenStream {
    let variables = manifest::VARIABLES;
    let length = manifest.len();
    let bytes = Literal::byte_string(manifest.as_bytes());
    quote! {
        // A change of these in Cargo.toml must build the manifest anew.
        const _: [::core::option::Option<&str>; 5] = [#(::core::option_env!(#variables)),*];

        // SAFETY: a link section may hold any constant data without relocations that nobody writes; this is a byte array
        // in a section of our own name, which no linker, loader or runtime gives a meaning to.
        #[cfg(not(test))]
        #[used]
        #[unsafe(link_section = ".migraine.manifest")]
        static MANIFEST: [u8; #length] = *#bytes;

        // SAFETY of the name: it is the one abi_stable's loader asks for and no other crate of this library defines it
        // (two plugins in one library fail to link). SAFETY of the header: the constructor must return a `PrefixRef` of
        // the type given here; `private::constructor` returns `RootModule_Ref`, a transparent wrapper around one.
        #[cfg(not(test))]
        #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
        static ROOT_MODULE: support::abi_stable::library::LibHeader = unsafe {
            support::abi_stable::library::LibHeader::from_constructor::<::migraine_plugin_api::abi::RootModule_Ref>(
                support::constructor::<#ty>,
                support::abi_stable::library::CheckTypeLayout::Yes,
            )
        };
    }
}
