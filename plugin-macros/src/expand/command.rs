//! Commands: the clap definition, the reading of its matches, the call.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned as _;

use super::{at, outcome};
use crate::ast::{Method, Param, ParamKind, Plugin, Shape, Taken, last_segment};
use crate::attr::CommandArgs;
use crate::usage;

/// The method that finds the command and runs it.
pub(super) fn dispatch(plugin: &Plugin, name: &str) -> TokenStream {
    let arms = plugin.commands().map(|(method, args)| arm(method, args, name));
    quote! {
        fn command(
            &mut self,
            ctx: &mut ::migraine_plugin_api::CommandContext,
        ) -> ::core::result::Result<(), ::migraine_plugin_api::PluginError> {
            match ctx.command() {
                #(#arms)*
                other => ::core::result::Result::Err(support::unknown("command", other)),
            }
        }
    }
}

fn arm(method: &Method, args: &CommandArgs, plugin: &str) -> TokenStream {
    let command = method.command_name(args);
    let definition = definition(method, &command, &usage::line(plugin, &command, &method.params));
    let (mut reads, mut arguments, mut host) = (Vec::new(), Vec::new(), None);
    for (index, param) in method.params.iter().enumerate() {
        match &param.kind {
            ParamKind::CommandContext(Taken::Mutable) => arguments.push(quote!(&mut *ctx)),
            ParamKind::Host(_) => {
                // The context may be borrowed mutably beside it; a handle is cheap to clone.
                host = Some(quote!(let host = ::core::clone::Clone::clone(ctx.host());));
                arguments.push(quote!(&host));
            }
            ParamKind::Value(shape, _) => {
                let local = format_ident!("argument{index}", span = proc_macro2::Span::mixed_site());
                let read = read(param, *shape);
                reads.push(quote!(let #local = #read;));
                arguments.push(quote!(#local));
            }
            _ => arguments.push(quote!(&*ctx)),
        }
    }
    let matched = if reads.is_empty() { quote!(_) } else { quote!(mut matches) };
    let ident = &method.ident;
    let outcome = outcome(method, &quote!(CommandOutcome), &quote!(self.#ident(#(#arguments),*)));
    quote! {
        #command => {
            let ::core::option::Option::Some(#matched) = support::parse_args(#definition, ctx)? else {
                return ::core::result::Result::Ok(());
            };
            #(#reads)*
            #host
            #outcome
        }
    }
}

fn definition(method: &Method, command: &str, usage: &str) -> TokenStream {
    let mut tokens = quote!(support::clap::Command::new(#command).override_usage(#usage));
    if !method.doc.summary.is_empty() {
        let summary = &method.doc.summary;
        tokens.extend(quote!(.about(#summary)));
    }
    if method.doc.full.lines().any(|line| line.trim().is_empty()) {
        let full = &method.doc.full;
        tokens.extend(quote!(.long_about(#full)));
    }
    let arguments = method.params.iter().filter_map(|param| match &param.kind {
        ParamKind::Value(shape, ty) => Some(argument(param, *shape, ty)),
        _ => None,
    });
    tokens.extend(quote!(#(.arg(#arguments))*));
    tokens
}

fn argument(param: &Param, shape: Shape, ty: &syn::Type) -> TokenStream {
    let id = param.name();
    let mut tokens = quote!(support::clap::Arg::new(#id));
    if param.is_option() {
        let long = param.long();
        tokens.extend(quote!(.long(#long)));
    }
    if let Some(short) = &param.args.short {
        let letter = Literal::character(short.value());
        tokens.extend(quote!(.short(#letter)));
    }
    let help = param.args.help.as_ref().map_or_else(|| param.doc.summary.clone(), LitStr::value);
    if !help.is_empty() {
        tokens.extend(quote!(.help(#help)));
    }
    if shape == Shape::Flag {
        tokens.extend(quote!(.action(support::clap::ArgAction::SetTrue)));
        return tokens;
    }
    let value = usage::value_name(param);
    let parser = quote_spanned!(at(ty.span())=> support::parser::<#ty>());
    tokens.extend(quote!(.value_name(#value).value_parser(#parser)));
    if matches!(last_segment(ty).as_deref(), Some("i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "f32" | "f64")) {
        tokens.extend(quote!(.allow_negative_numbers(true)));
    }
    match (shape, &param.args.default) {
        (Shape::Many, _) if param.is_option() => tokens.extend(quote!(.action(support::clap::ArgAction::Append))),
        (Shape::Many, _) => tokens.extend(quote!(.num_args(0..).action(support::clap::ArgAction::Append))),
        (Shape::One, Some(default)) => {
            let default = default.value();
            tokens.extend(quote!(.default_value(#default)));
        }
        (Shape::One, None) => tokens.extend(quote!(.required(true))),
        _ => {}
    }
    tokens
}

fn read(param: &Param, shape: Shape) -> TokenStream {
    let id = param.name();
    match shape {
        Shape::Flag => quote!(matches.get_flag(#id)),
        Shape::One => quote!(support::required(&mut matches, #id)?),
        Shape::Optional => quote!(matches.remove_one(#id)),
        Shape::Many => quote!(support::many(&mut matches, #id)),
    }
}
