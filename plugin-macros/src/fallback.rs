//! What is emitted after an error: the author's code without our attributes and a plugin that is never run, so that one
//! mistake is one error and not ten.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Type;

use crate::ast::Plugin;

/// For an item that is no impl block.
pub(crate) fn item(error: &syn::Error, item: &TokenStream) -> TokenStream {
    let errors = error.to_compile_error();
    quote!(#item #errors)
}

/// For an impl block with errors in it.
pub(crate) fn plugin(error: &syn::Error, plugin: &Plugin) -> TokenStream {
    let errors = error.to_compile_error();
    let block = &plugin.block;
    let own = block.trait_.is_none() && block.generics.params.is_empty() && matches!(&*block.self_ty, Type::Path(_));
    let stub = own.then(|| stub(plugin));
    // What the author's code does not use yet is no news while it is wrong.
    quote! {
        #[allow(unused, reason = "the attributes have errors")]
        #block
        #stub
        #errors
    }
}

fn stub(plugin: &Plugin) -> TokenStream {
    let ty = &plugin.block.self_ty;
    quote! {
        const _: () = {
            use ::migraine_plugin_api::{CommandContext, Context, HookResult, Host, Plugin, PluginError};

            impl Plugin for #ty {
                const MANIFEST: &'static str = "{}";

                fn create(_: &Host) -> ::core::result::Result<Self, PluginError> {
                    ::core::unreachable!()
                }

                fn hook(&mut self, _: &Context, _: &Host) -> ::core::result::Result<HookResult, PluginError> {
                    ::core::unreachable!()
                }

                fn command(&mut self, _: &mut CommandContext) -> ::core::result::Result<(), PluginError> {
                    ::core::unreachable!()
                }
            }
        };
    }
}
