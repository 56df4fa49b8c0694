//! Attribute syntax: tokens of `#[plugin]`, `#[command]`, `#[hook]` and `#[arg]` become typed values. What the values may
//! be is judged in `valid`.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, Ident, LitChar, LitStr, Meta, Token, token};

use crate::error::Errors;

/// The arguments of `#[plugin(...)]`.
#[derive(Default)]
pub(crate) struct PluginArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) permissions: Vec<LitStr>,
    pub(crate) config: Vec<(Ident, Expr)>,
    pub(crate) dependencies: Vec<LitStr>,
    pub(crate) install_requires: Vec<LitStr>,
    pub(crate) binds: Vec<BindArgs>,
}

/// One `bind("EVENT" = "COMMAND LINE", ...)`: a subscription that runs a command instead of a handler.
pub(crate) struct BindArgs {
    pub(crate) hook: HookArgs,
    pub(crate) command: LitStr,
}

/// The arguments of `#[command(...)]`.
#[derive(Default)]
pub(crate) struct CommandArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) stdin: bool,
    pub(crate) timeout: Option<Expr>,
}

/// The arguments of one `#[hook(...)]`.
pub(crate) struct HookArgs {
    pub(crate) span: Span,
    /// Whether all of it could be read, so that what is missing was never written.
    pub(crate) is_read: bool,
    pub(crate) event: Option<LitStr>,
    pub(crate) pattern: Option<LitStr>,
    pub(crate) priority: Option<Expr>,
    pub(crate) before: Vec<LitStr>,
    pub(crate) after: Vec<LitStr>,
    pub(crate) on_failure: Option<LitStr>,
    pub(crate) optional: bool,
}

/// The arguments of `#[arg(...)]` on a parameter.
#[derive(Default)]
pub(crate) struct ArgArgs {
    /// Where the attribute stands, when there is one.
    pub(crate) span: Option<Span>,
    pub(crate) long: Option<Long>,
    pub(crate) short: Option<LitChar>,
    pub(crate) default: Option<LitStr>,
    pub(crate) help: Option<LitStr>,
}

/// `long` alone, or `long = "name"`.
pub(crate) enum Long {
    Derived,
    Named(LitStr),
}

impl PluginArgs {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let known = ["name", "description", "permissions", "config", "dependencies", "install_requires", "bind"];
        let mut keys = Keys::new("plugin", &known);
        let mut read = |meta: ParseNestedMeta<'_>, errors: &mut Errors| {
            match keys.next(&meta, errors)?.as_deref() {
                Some("name") => args.name = Some(meta.value()?.parse()?),
                Some("description") => args.description = Some(meta.value()?.parse()?),
                Some("permissions") => args.permissions = texts(&meta)?,
                Some("config") => args.config = config(&meta)?,
                Some("dependencies") => args.dependencies = texts(&meta)?,
                Some("install_requires") => args.install_requires = texts(&meta)?,
                Some("bind") => {
                    keys.allow_again("bind");
                    args.binds.push(BindArgs::parse(&meta, errors)?);
                }
                _ => {}
            }
            Ok(())
        };
        if let Err(error) = syn::meta::parser(|meta| read(meta, errors)).parse2(tokens) {
            errors.absorb(error);
        }
        args
    }
}

impl CommandArgs {
    pub(crate) fn parse(attribute: &Attribute, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let mut keys = Keys::new("command", &["name", "stdin", "timeout"]);
        nested(attribute, errors, |meta, errors| {
            match keys.next(&meta, errors)?.as_deref() {
                Some("name") => args.name = Some(meta.value()?.parse()?),
                Some("stdin") => args.stdin = true,
                Some("timeout") => args.timeout = Some(meta.value()?.parse()?),
                _ => {}
            }
            Ok(())
        });
        args
    }
}

impl BindArgs {
    /// Reads what stands in the parentheses.
    fn parse(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let content;
        syn::parenthesized!(content in meta.input);
        let event: LitStr = content.parse()?;
        if !content.peek(Token![=]) {
            return Err(syn::Error::new(
                event.span(),
                "a bound command is written `bind(\"EVENT\" = \"COMMAND ...\")`",
            ));
        }
        content.parse::<Token![=]>()?;
        let command = content.parse()?;
        let mut hook = HookArgs::of(event.span());
        hook.event = Some(event);
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
        let mut keys = Keys::new("bind", &HookArgs::OPTIONS);
        let options = syn::meta::parser(|meta| hook.read(&mut keys, &meta, errors));
        options.parse2(content.parse::<TokenStream>()?)?;
        Ok(Self { hook, command })
    }
}

impl HookArgs {
    /// Everything but the event.
    const OPTIONS: [&str; 6] = ["pattern", "priority", "before", "after", "on_failure", "optional"];

    fn of(span: Span) -> Self {
        Self {
            span,
            is_read: true,
            event: None,
            pattern: None,
            priority: None,
            before: Vec::new(),
            after: Vec::new(),
            on_failure: None,
            optional: false,
        }
    }

    pub(crate) fn parse(attribute: &Attribute, errors: &mut Errors) -> Self {
        let mut args = Self::of(attribute.path().span());
        let mut keys = Keys::new("hook", &[&["event"][..], &Self::OPTIONS].concat());
        let is_read = nested(attribute, errors, |meta, errors| args.read(&mut keys, &meta, errors));
        Self { is_read, ..args }
    }

    fn read(&mut self, keys: &mut Keys, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
        match keys.next(meta, errors)?.as_deref() {
            Some("event") => self.event = Some(meta.value()?.parse()?),
            Some("pattern") => self.pattern = Some(meta.value()?.parse()?),
            Some("priority") => self.priority = Some(meta.value()?.parse()?),
            Some("before") => self.before = texts(meta)?,
            Some("after") => self.after = texts(meta)?,
            Some("on_failure") => self.on_failure = Some(meta.value()?.parse()?),
            Some("optional") => self.optional = true,
            _ => {}
        }
        Ok(())
    }
}

impl ArgArgs {
    /// Reads one more `#[arg]` of the same parameter into `self`.
    pub(crate) fn read(&mut self, attribute: &Attribute, errors: &mut Errors) {
        self.span.get_or_insert_with(|| attribute.path().span());
        let mut keys = Keys::new("arg", &["long", "short", "default", "help"]);
        nested(attribute, errors, |meta, errors| {
            match keys.next(&meta, errors)?.as_deref() {
                Some("long") if meta.input.peek(Token![=]) => self.long = Some(Long::Named(meta.value()?.parse()?)),
                Some("long") => self.long = Some(Long::Derived),
                Some("short") => self.short = Some(meta.value()?.parse()?),
                Some("default") => self.default = Some(meta.value()?.parse()?),
                Some("help") => self.help = Some(meta.value()?.parse()?),
                _ => {}
            }
            Ok(())
        });
    }
}

/// The keys of one attribute: each is known and given once.
struct Keys {
    of: &'static str,
    known: Vec<&'static str>,
    seen: Vec<String>,
}

impl Keys {
    fn new(of: &'static str, known: &[&'static str]) -> Self {
        Self { of, known: known.to_vec(), seen: Vec::new() }
    }

    /// The key if its value should be read; a wrong one is reported and its value skipped.
    fn next(&mut self, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<Option<String>> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if !self.known.contains(&key.as_str()) {
            let known = self.known.join(", ");
            let of = if self.of == "bind" { "`bind(...)`".to_owned() } else { format!("`#[{}]`", self.of) };
            errors.push(meta.path.span(), format!("unknown argument of {of}; known are {known}"));
        } else if self.seen.contains(&key) {
            errors.push(meta.path.span(), format!("`{key}` is given twice"));
        } else {
            self.seen.push(key.clone());
            return Ok(Some(key));
        }
        skip_value(meta.input)?;
        Ok(None)
    }

    /// Lets a key that was given be given again.
    fn allow_again(&mut self, key: &str) {
        self.seen.retain(|seen| seen != key);
    }
}

fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        input.parse::<Expr>()?;
    } else if input.peek(token::Paren) {
        input.parse::<proc_macro2::Group>()?;
    }
    Ok(())
}

/// `key("a", "b")`, and `key = "a"` for one.
fn texts(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    if meta.input.peek(Token![=]) {
        return Ok(vec![meta.value()?.parse()?]);
    }
    let content;
    syn::parenthesized!(content in meta.input);
    let items = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    Ok(items.into_iter().collect())
}

/// `config(key = literal, ...)`.
fn config(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<(Ident, Expr)>> {
    let content;
    syn::parenthesized!(content in meta.input);
    let entry = |input: ParseStream<'_>| {
        let key = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        Ok((key, input.parse()?))
    };
    let items = content.parse_terminated(entry, Token![,])?;
    Ok(items.into_iter().collect())
}

/// Runs `logic` for each argument; an attribute without arguments is fine. Whether all could be read.
fn nested(
    attribute: &Attribute,
    errors: &mut Errors,
    mut logic: impl FnMut(ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) -> bool {
    let outcome = match &attribute.meta {
        Meta::Path(_) => Ok(()),
        Meta::List(list) if list.tokens.is_empty() => Ok(()),
        Meta::List(_) => attribute.parse_nested_meta(|meta| logic(meta, errors)),
        Meta::NameValue(pair) => {
            let name = pair.path.get_ident().map(ToString::to_string).unwrap_or_default();
            Err(syn::Error::new(pair.eq_token.span(), format!("arguments are written `#[{name}(...)]`")))
        }
    };
    match outcome {
        Ok(()) => true,
        Err(error) => {
            errors.absorb(error);
            false
        }
    }
}
