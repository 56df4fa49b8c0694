//! The typed form of the annotated impl block. Reading takes our attributes out, so that the block can be emitted as it
//! is.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Expr, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, Meta, Pat, PathArguments,
    Signature, Type,
};

use crate::attr::{ArgArgs, CommandArgs, HookArgs, PluginArgs};
use crate::error::Errors;

/// The attributes that mark a method.
const MARKS: [&str; 4] = ["command", "hook", "init", "shutdown"];

/// Everything the macro was given.
pub(crate) struct Plugin {
    pub(crate) args: PluginArgs,
    /// The impl block without our attributes.
    pub(crate) block: ItemImpl,
    /// The marked methods, in the order they are written.
    pub(crate) methods: Vec<Method>,
}

/// A method with at least one mark.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) signature: Signature,
    pub(crate) doc: Doc,
    pub(crate) roles: Vec<Role>,
    pub(crate) params: Vec<Param>,
    /// A `cfg` on it.
    pub(crate) cfg: Option<Attribute>,
}

/// What a mark makes of a method.
pub(crate) struct Role {
    pub(crate) span: Span,
    pub(crate) kind: RoleKind,
}

/// The four marks.
pub(crate) enum RoleKind {
    Command(CommandArgs),
    Hook(Box<HookArgs>),
    Init,
    Shutdown,
}

/// A parameter other than the receiver.
pub(crate) struct Param {
    /// Its name, when the pattern is one.
    pub(crate) ident: Option<Ident>,
    pub(crate) span: Span,
    pub(crate) kind: ParamKind,
    pub(crate) args: ArgArgs,
    pub(crate) doc: Doc,
}

/// What a parameter receives.
pub(crate) enum ParamKind {
    /// `CommandContext`, and how it is taken.
    CommandContext(Taken),
    /// `Context`, the context of a hook.
    HookContext(Taken),
    Host(Taken),
    /// Parsed from the command line.
    Value(Shape, Box<Type>),
}

/// How a parameter is passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Value,
    Shared,
    Mutable,
}

/// How often a typed argument may be given. The type beside it is that of one value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    Optional,
    Many,
    Flag,
}

/// A doc comment.
#[derive(Default)]
pub(crate) struct Doc {
    /// The first paragraph, on one line.
    pub(crate) summary: String,
    /// Everything.
    pub(crate) full: String,
}

impl Plugin {
    pub(crate) fn parse(args: TokenStream, mut block: ItemImpl, errors: &mut Errors) -> Self {
        let args = PluginArgs::parse(args, errors);
        let mut methods = Vec::new();
        for item in &mut block.items {
            match item {
                ImplItem::Fn(function) => methods.extend(Method::take(function, errors)),
                ImplItem::Const(other) => refuse_marks(&mut other.attrs, errors),
                ImplItem::Type(other) => refuse_marks(&mut other.attrs, errors),
                ImplItem::Macro(other) => refuse_marks(&mut other.attrs, errors),
                _ => {}
            }
        }
        Self { args, block, methods }
    }

    /// The methods that are commands.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (&Method, &CommandArgs)> {
        self.methods.iter().filter_map(|method| Some((method, method.command()?)))
    }

    /// The one method of a role.
    pub(crate) fn only(&self, wanted: fn(&RoleKind) -> bool) -> Option<&Method> {
        self.methods.iter().find(|method| method.roles.iter().any(|role| wanted(&role.kind)))
    }
}

impl Method {
    /// Takes our attributes off a method; `None` when it has no mark.
    fn take(function: &mut ImplItemFn, errors: &mut Errors) -> Option<Self> {
        let roles = take_roles(&mut function.attrs, errors);
        let is_command = roles.iter().any(|role| matches!(role.kind, RoleKind::Command(_)));
        let params: Vec<_> =
            function.sig.inputs.iter_mut().filter_map(|input| Param::take(input, is_command, errors)).collect();
        if roles.is_empty() {
            refuse_args(&params, errors);
            return None;
        }
        let cfg = function.attrs.iter().find(|attribute| is_conditional(attribute)).cloned();
        Some(Self {
            ident: function.sig.ident.clone(),
            signature: function.sig.clone(),
            doc: Doc::of(&function.attrs),
            roles,
            params,
            cfg,
        })
    }

    /// Its arguments as a command, if it is one.
    pub(crate) fn command(&self) -> Option<&CommandArgs> {
        self.roles.iter().find_map(|role| match &role.kind {
            RoleKind::Command(args) => Some(args),
            _ => None,
        })
    }

    /// Its subscriptions, if it is a hook.
    pub(crate) fn hooks(&self) -> impl Iterator<Item = &HookArgs> {
        self.roles.iter().filter_map(|role| match &role.kind {
            RoleKind::Hook(args) => Some(&**args),
            _ => None,
        })
    }

    /// The name without `r#`.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// What is typed to call it.
    pub(crate) fn command_name(&self, args: &CommandArgs) -> String {
        args.name.as_ref().map_or_else(|| kebab(&self.ident), syn::LitStr::value)
    }
}

impl Param {
    /// `None` for the receiver. Doc comments are taken off a command's parameters, where they are help.
    fn take(input: &mut FnArg, of_command: bool, errors: &mut Errors) -> Option<Self> {
        let FnArg::Typed(typed) = input else { return None };
        let mut args = ArgArgs::default();
        for attribute in typed.attrs.iter().filter(|attribute| attribute.path().is_ident("arg")) {
            args.read(attribute, errors);
        }
        let doc = Doc::of(&typed.attrs);
        typed
            .attrs
            .retain(|attribute| !(attribute.path().is_ident("arg") || of_command && attribute.path().is_ident("doc")));
        let ident = match &*typed.pat {
            Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.by_ref.is_none() => Some(pattern.ident.clone()),
            _ => None,
        };
        let span = ident.as_ref().map_or_else(|| typed.pat.span(), Ident::span);
        Some(Self { ident, span, kind: ParamKind::of(&typed.ty), args, doc })
    }

    /// The name without `r#` and leading underscores, empty for a pattern.
    pub(crate) fn name(&self) -> String {
        self.ident
            .as_ref()
            .map(|ident| ident.unraw().to_string().trim_start_matches('_').to_owned())
            .unwrap_or_default()
    }

    /// Whether it is given by name and not by position.
    pub(crate) fn is_option(&self) -> bool {
        let flag = matches!(self.kind, ParamKind::Value(Shape::Flag, _));
        flag || self.args.long.is_some() || self.args.short.is_some()
    }

    /// Its long name as an option.
    pub(crate) fn long(&self) -> String {
        match &self.args.long {
            Some(crate::attr::Long::Named(name)) => name.value(),
            _ => self.name().replace('_', "-"),
        }
    }
}

impl ParamKind {
    fn of(ty: &Type) -> Self {
        let (taken, inner) = match ty {
            Type::Reference(reference) if reference.mutability.is_some() => (Taken::Mutable, &*reference.elem),
            Type::Reference(reference) => (Taken::Shared, &*reference.elem),
            other => (Taken::Value, other),
        };
        match last_segment(inner).as_deref() {
            Some("CommandContext") => Self::CommandContext(taken),
            Some("Context") => Self::HookContext(taken),
            Some("Host") => Self::Host(taken),
            Some("bool") if taken == Taken::Value => Self::Value(Shape::Flag, Box::new(ty.clone())),
            Some("Option") => Self::Value(Shape::Optional, Box::new(element(ty))),
            Some("Vec") => Self::Value(Shape::Many, Box::new(element(ty))),
            _ => Self::Value(Shape::One, Box::new(ty.clone())),
        }
    }
}

impl Doc {
    fn of(attributes: &[Attribute]) -> Self {
        let lines: Vec<String> = attributes.iter().filter_map(doc_line).collect();
        let full = lines.join("\n").trim().to_owned();
        let paragraph: Vec<&str> = full.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        Self { summary: paragraph.join(" "), full }
    }
}

/// The last name of a type's path.
pub(crate) fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
}

/// The name a user types for an identifier.
pub(crate) fn kebab(ident: &Ident) -> String {
    ident.unraw().to_string().trim_start_matches('_').replace('_', "-")
}

/// The `T` of `Option<T>` and `Vec<T>`; the type itself when it has no such argument, which rustc then reports.
fn element(ty: &Type) -> Type {
    let Type::Path(path) = ty else { return ty.clone() };
    match path.path.segments.last().map(|last| &last.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => match arguments.args.first() {
            Some(GenericArgument::Type(inner)) => inner.clone(),
            _ => ty.clone(),
        },
        _ => ty.clone(),
    }
}

fn take_roles(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Vec<Role> {
    let mut roles = Vec::new();
    attributes.retain(|attribute| {
        let Some(mark) = mark(attribute) else { return true };
        let kind = match mark {
            "command" => RoleKind::Command(CommandArgs::parse(attribute, errors)),
            "hook" => RoleKind::Hook(Box::new(HookArgs::parse(attribute, errors))),
            "init" => RoleKind::Init,
            _ => RoleKind::Shutdown,
        };
        if matches!(kind, RoleKind::Init | RoleKind::Shutdown)
            && let Err(error) = attribute.meta.require_path_only()
        {
            errors.absorb(syn::Error::new(error.span(), format!("`#[{mark}]` takes no arguments")));
        }
        roles.push(Role { span: attribute.path().span(), kind });
        false
    });
    roles
}

fn refuse_marks(attributes: &mut Vec<Attribute>, errors: &mut Errors) {
    attributes.retain(|attribute| match mark(attribute) {
        Some(mark) => {
            errors.push(attribute.path().span(), format!("`#[{mark}]` stands on a method"));
            false
        }
        None => true,
    });
}

fn refuse_args(params: &[Param], errors: &mut Errors) {
    for span in params.iter().filter_map(|param| param.args.span) {
        errors.push(span, "`#[arg]` stands on a typed argument of a command");
    }
}

fn mark(attribute: &Attribute) -> Option<&'static str> {
    MARKS.into_iter().find(|mark| attribute.path().is_ident(mark))
}

fn is_conditional(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    if !pair.path.is_ident("doc") {
        return None;
    }
    match &pair.value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => {
                let line = text.value();
                Some(line.strip_prefix(' ').unwrap_or(&line).to_owned())
            }
            _ => None,
        },
        _ => None,
    }
}
