//! The attribute macros of `migraine-plugin-api`, which re-exports them; never used directly.
#![forbid(unsafe_code)]

mod ast;
mod attr;
mod error;
mod expand;
mod fallback;
mod manifest;
mod usage;
mod valid;

use proc_macro::TokenStream;

/// Turns an impl block into a plugin: its methods become commands and hooks, and the library gets a manifest and the one
/// symbol that the host looks for.
///
/// ```
/// # use migraine_plugin_api::Manifest;
/// # use migraine_plugin_api::Plugin as _;
/// # use migraine_plugin_api::testing::Bench;
/// use migraine_plugin_api::prelude::*;
///
/// struct Deploy {
///     target: String,
/// }
///
/// #[plugin(
///     permissions("task_read", "network=localhost:80"),
///     config(target = "staging", retries = 3, dry_run = true),
///     dependencies("docker"),
///     install_requires("a running Docker daemon")
/// )]
/// impl Deploy {
///     #[init]
///     fn new(host: &Host) -> Result<Self, PluginError> {
///         let target = host.config_text("target").ok_or("`target` is empty")?;
///         Ok(Self { target })
///     }
///
///     /// Deploy some services
///     ///
///     /// Everything after the first paragraph is shown by `--help` only.
///     #[command]
///     fn deploy(
///         &mut self,
///         ctx: &mut CommandContext,
///         /// What to deploy
///         service: String,
///         #[arg(short = 'n', default = "1", help = "How many copies")] count: u32,
///         force: bool,
///         others: Vec<String>,
///     ) -> Result<(), PluginError> {
///         writeln!(ctx.out(), "{service} x{count} to {} (force: {force}, also {others:?})", self.target)?;
///         Ok(())
///     }
///
///     #[hook(event = "post-command", pattern = "^cargo", priority = 10, on_failure = "warn")]
///     fn built(&mut self, context: &Context) -> HookResult {
///         success().with_message(format!("{} sees {}", self.target, context.event))
///     }
///
///     #[shutdown]
///     fn stop(&mut self) {
///         self.target.clear();
///     }
/// }
/// # let mut bench = Bench::<Deploy>::new();
/// # let text = bench.command("deploy", &["web", "-n", "2", "--force", "db"]).unwrap();
/// # assert_eq!(text, "web x2 to staging (force: true, also [\"db\"])\n");
/// # let answer = bench.hook(Context::new("post-command")).unwrap();
/// # assert_eq!(answer.message.as_deref(), Some("staging sees post-command"));
/// # let manifest: Manifest = serde_json::from_str(Deploy::MANIFEST).unwrap();
/// # assert_eq!(manifest.permissions.len(), 2);
/// ```
///
/// # `#[plugin]`
///
/// Stands on the impl block of a type without generics. Version, author (the first, without address) and license come
/// from `Cargo.toml`. All arguments are optional:
///
/// | argument | meaning |
/// |---|---|
/// | `name = "..."` | instead of the package's name, whose `_` become `-` |
/// | `description = "..."` | instead of the package's description |
/// | `permissions("...", ...)` | what the plugin asks for, as `kind` or `kind=scope` |
/// | `config(key = literal, ...)` | configuration keys with their defaults: texts, numbers, booleans |
/// | `dependencies("...", ...)` | programs and sockets it needs on the machine, and other plugins: `"plugin:NAME RANGE"` |
/// | `install_requires("...", ...)` | the same in words, for people |
/// | `bind("EVENT" = "COMMAND ...")` | a hook that runs a command of the plugin; may be given several times |
///
/// A bound command is written as it would be typed after the plugin's name. It is split into words once, as a shell splits
/// them and without a shell; then each `{{NAME}}` is filled in with that variable of the workflow. A value stays one literal
/// piece of its word, whatever it holds. The hook fails where a variable has no value and where a value would begin a word
/// with `-`, since it would be taken for an option: write `--name={{NAME}}`. No permission is needed for the variables that
/// it names; the user consents to the command as it is written. What the command prints is shown as its own output. After
/// the command, `bind` takes every argument of `#[hook]` but the event:
///
/// ```
/// # use migraine_plugin_api::{Manifest, Plugin as _};
/// use migraine_plugin_api::prelude::*;
///
/// #[derive(Default)]
/// struct Containers;
///
/// #[plugin(
///     bind("workflow:post-deploy" = "logs --container={{container_name}} --lines 20"),
///     bind("command-error" = "logs --container={{container_name}}", pattern = "^docker", on_failure = "ignore")
/// )]
/// impl Containers {
///     /// Print what a container said
///     #[command(timeout = none)]
///     fn logs(&self, ctx: &CommandContext, #[arg(long)] container: String, #[arg(long)] lines: Option<u32>) {
///         // ...
///     }
/// }
/// # let manifest: Manifest = serde_json::from_str(Containers::MANIFEST).unwrap();
/// # assert_eq!(manifest.hooks[0].command.as_deref(), Some("logs --container={{container_name}} --lines 20"));
/// # assert_eq!(manifest.hooks[1].pattern.as_deref(), Some("^docker"));
/// # assert_eq!(manifest.commands[0].timeout, Some(migraine_plugin_api::Timeout::None));
/// ```
///
/// # `#[command]`
///
/// A method with `&mut self` or `&self`, then, if wanted, `ctx: &mut CommandContext` and `host: &Host`, then the arguments
/// of the command line. It returns nothing, `Result<(), PluginError>`, or a `Result<(), E>` whose `E` converts into
/// `PluginError`. The command is called like the method, with dashes; the first paragraph of the doc comment is its
/// description.
///
/// | argument | meaning |
/// |---|---|
/// | `name = "..."` | it is called so instead |
/// | `stdin` | it may read the caller's standard input |
/// | `timeout = SECONDS`, `timeout = none` | wall clock instead of 30 seconds; `none` for no limit |
///
/// The user consents to a timeout, may cap it by the policy and may give another for one call. A hook that runs the command
/// has that time too where it is longer than a hook's 30 seconds.
///
/// The arguments of the command line are those of the method:
///
/// | argument | on the command line |
/// |---|---|
/// | `a: T` | required |
/// | `a: Option<T>` | may be left out |
/// | `a: Vec<T>` | all that remain |
/// | `a: bool` | the flag `--a` |
///
/// `T` is any type that is `FromStr + Clone + Send + Sync + 'static` with an error that can be shown. A doc comment on an
/// argument is its help. `#[arg(...)]` on it changes more:
///
/// | argument | meaning |
/// |---|---|
/// | `long`, `long = "..."` | given as `--a VALUE`; with `Vec<T>` repeatable |
/// | `short = 'x'` | given as `-x VALUE` and as `--a VALUE` |
/// | `default = "..."` | the text that stands in for a `T` left out |
/// | `help = "..."` | instead of the doc comment |
///
/// `--help` is there without doing anything. Everything the user typed reaches the command; what it does not know is a
/// usage error.
///
/// # `#[hook]`
///
/// A method with `&mut self` or `&self` that takes `context: &Context` and, if it wants, `host: &Host`. It returns nothing
/// (it worked), a `HookResult`, or a `Result` of either. Several `#[hook]`s on one method are several subscriptions.
///
/// | argument | meaning |
/// |---|---|
/// | `event = "..."` | required; `-` and `_` are equal |
/// | `pattern = "..."` | a regular expression that the command must match |
/// | `priority = N` | higher runs earlier; 0 |
/// | `before("...")`, `after("...")` | plugins that run after, and before, this one |
/// | `on_failure = "..."` | `fail`, `warn` (the default) or `ignore` |
/// | `optional` | a host that does not know the event is fine |
///
/// # `#[init]` and `#[shutdown]`
///
/// `#[init]` stands on a function without `self` that takes `host: &Host` or nothing and returns `Self` or
/// `Result<Self, E>`. Without one, a unit struct is used as it is and every other type is made by `Default`. (For that the
/// block stands in the module of its type, or the type is imported there by name, not by `*`.)
/// `#[shutdown]` stands on a method that takes nothing but `self`; it is called before the worker ends.
///
/// # One plugin in one library
///
/// The macro exports one fixed symbol, so a library holds one plugin, and two plugin crates cannot be linked into one
/// program as ordinary dependencies. In test builds of the plugin's own crate the symbol is left out.
#[proc_macro_attribute]
pub fn plugin(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::plugin(args.into(), &item.into()).into()
}
