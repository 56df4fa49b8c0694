//! What `#[plugin]` expands to, seen from outside: manifest, dispatch, arguments, start and end.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use migraine_plugin_api::testing::Bench;
use migraine_plugin_api::{Context, ErrorKind, FailurePolicy, Manifest, Plugin, PluginError, Timeout};
use serde_json::json;

mod full {
    use std::str::FromStr;

    use migraine_plugin_api::prelude::*;

    #[derive(Debug, Clone)]
    pub(super) struct Even(u32);

    #[derive(Debug)]
    pub(super) struct Odd;

    impl std::fmt::Display for Odd {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the number is odd")
        }
    }

    impl std::error::Error for Odd {}

    impl From<Odd> for PluginError {
        fn from(odd: Odd) -> Self {
            Self::failed(odd.to_string()).with_help("add one")
        }
    }

    impl FromStr for Even {
        type Err = Odd;

        fn from_str(text: &str) -> Result<Self, Odd> {
            let number = text.parse().map_err(|_| Odd)?;
            if number % 2 == 0 { Ok(Self(number)) } else { Err(Odd) }
        }
    }

    pub(super) struct Full {
        calls: u32,
        word: String,
    }

    #[plugin(
        name = "every-feature",
        description = "Uses everything",
        permissions(
            "task_read",
            "task_write",
            "user_auth",
            "network",
            "network=localhost:80",
            "filesystem=read:./logs",
            "filesystem=write:./out",
            "env_vars=HOME",
            "exec=docker"
        ),
        config(word = "default", n = 3, low = -2, ratio = 0.5, flag = true),
        dependencies("docker", "docker-socket"),
        install_requires("a running Docker daemon"),
        bind("workflow:post-deploy" = "show --size={{size}} 'a place'"),
        bind("pre_command" = "no-context", pattern = "^x", priority = 3, before("x"), on_failure = "fail", optional,)
    )]
    impl Full {
        const START: u32 = 0;

        pub(super) fn calls(&self) -> u32 {
            self.calls
        }

        #[init]
        fn new(host: &Host) -> Result<Self, PluginError> {
            let word = host.config_text("word").ok_or("`word` is missing")?;
            if word.is_empty() {
                return Err("`word` is empty".into());
            }
            Ok(Self { calls: Self::START, word })
        }

        /// Show all
        /// arguments
        ///
        /// With details.
        #[command(name = "show")]
        fn show_all(
            &mut self,
            ctx: &mut CommandContext,
            /// Where to go
            place: String,
            #[arg(help = "How often")] times: Option<i32>,
            #[arg(long)] size: Even,
            #[arg(long = "label", short = 'l')] labels: Vec<String>,
            #[arg(short = 'p', default = "8080")] port: u16,
            #[arg(long)] note: Option<char>,
            #[arg(short = 'v')] be_loud: bool,
            rest: Vec<u8>,
        ) -> Result<(), PluginError> {
            self.calls += 1;
            writeln!(
                ctx.out(),
                "{place} {times:?} {} {labels:?} {port} {note:?} {be_loud} {rest:?} {}",
                size.0,
                self.word
            )?;
            Ok(())
        }

        #[command]
        fn no_context(&mut self) {
            self.calls += 10;
        }

        #[command(stdin, timeout = 600)]
        fn r#loop(&self, host: &Host, ctx: &mut CommandContext) -> std::io::Result<()> {
            let mut text = String::new();
            ctx.stdin().read_to_string(&mut text)?;
            write!(ctx.out(), "{} {text} {}", self.calls, host.config().len())
        }

        #[command(timeout = none)]
        fn quiet(&self, ctx: &CommandContext, _ignored: Option<String>) -> Result<(), PluginError> {
            let mut text = String::new();
            ctx.stdin().read_to_string(&mut text)?;
            write!(ctx.out(), "[{text}]")?;
            Ok(())
        }

        #[command]
        fn fails(&self, number: Option<u32>) -> Result<(), Odd> {
            if number.is_some_and(|number| number % 2 == 1) { Err(Odd) } else { Ok(()) }
        }

        #[hook(event = "pre-command", pattern = "^cargo", priority = 10, on_failure = "fail")]
        #[hook(event = "custom:event", priority = -1, before("x", "y"), after("z"), on_failure = "ignore", optional)]
        fn watch(&mut self, context: &Context, host: &Host) -> HookResult {
            self.calls += 100;
            success().with_message(format!("{} {}", context.event, host.permissions().len()))
        }

        #[hook(event = "post_command")]
        fn after(&self, host: &Host, context: &Context) -> Result<HookResult, PluginError> {
            host.state_put("seen", context.event.as_bytes())?;
            if self.word == "refuse" { Err("refused".into()) } else { Ok(success().stop_chain()) }
        }

        #[hook(event = "post-workflow")]
        fn nothing(&mut self) {
            self.calls += 1000;
        }

        #[hook(event = "command-error")]
        fn io(&self) -> std::io::Result<()> {
            Err(std::io::Error::other("disk"))
        }

        #[shutdown]
        fn stop(&mut self) {
            self.calls = 0;
        }
    }
}

mod unit {
    use migraine_plugin_api::prelude::*;

    pub(super) struct Unit;

    #[plugin]
    impl Unit {
        #[command]
        fn go(&self, ctx: &CommandContext) -> Result<(), PluginError> {
            Ok(write!(ctx.out(), "unit")?)
        }
    }

    pub(super) struct Second;

    #[plugin]
    impl Second {}
}

mod defaulted {
    use migraine_plugin_api::prelude::*;

    #[derive(Default)]
    pub(super) struct Named {
        count: u8,
    }

    #[plugin]
    impl Named {
        #[command]
        fn go(&self, ctx: &CommandContext) -> Result<(), PluginError> {
            Ok(write!(ctx.out(), "named {}", self.count)?)
        }
    }

    pub(super) struct Tuple(u8);

    impl Default for Tuple {
        fn default() -> Self {
            Self(7)
        }
    }

    #[plugin]
    impl Tuple {
        #[command]
        fn go(&self, ctx: &CommandContext) -> Result<(), PluginError> {
            Ok(write!(ctx.out(), "tuple {}", self.0)?)
        }
    }

    pub(super) struct Started(u8);

    #[plugin]
    impl Started {
        #[init]
        fn start() -> Self {
            Self(9)
        }

        #[command]
        fn go(&self, ctx: &CommandContext) -> Result<(), PluginError> {
            Ok(write!(ctx.out(), "started {}", self.0)?)
        }
    }

    pub(super) mod elsewhere {
        #[derive(Default)]
        pub(crate) struct Apart;
    }

    #[plugin]
    impl elsewhere::Apart {
        #[command]
        fn go(&self, ctx: &CommandContext) -> Result<(), PluginError> {
            Ok(write!(ctx.out(), "apart")?)
        }
    }
}

fn manifest<P: Plugin>() -> Manifest {
    serde_json::from_str(P::MANIFEST).expect("the macro writes a manifest")
}

fn full() -> Bench<full::Full> {
    Bench::new()
}

#[test]
fn the_manifest_says_what_the_attributes_say() {
    let manifest = manifest::<full::Full>();
    assert_eq!((manifest.name.as_str(), manifest.description.as_str()), ("every-feature", "Uses everything"));
    assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((manifest.author.as_str(), manifest.license.as_str()), ("The Migraine developers", "MIT"));
    assert_eq!(manifest.api_version, migraine_plugin_api::API_VERSION);
    let permissions: Vec<_> = manifest.permissions.iter().map(ToString::to_string).collect();
    assert_eq!(permissions.len(), 9, "{permissions:?}");
    assert_eq!(
        serde_json::to_value(&manifest.config).unwrap(),
        json!({"word": "default", "n": 3, "low": -2, "ratio": 0.5, "flag": true})
    );
    assert_eq!(manifest.dependencies, ["docker", "docker-socket"]);
    assert_eq!(manifest.install_requires, ["a running Docker daemon"]);
}

#[test]
fn commands_are_declared_with_help_and_usage() {
    let manifest = manifest::<full::Full>();
    let names: Vec<_> = manifest.commands.iter().map(|command| command.name.as_str()).collect();
    assert_eq!(names, ["show", "no-context", "loop", "quiet", "fails"]);
    let show = manifest.command("show").unwrap();
    assert_eq!(show.description, "Show all arguments");
    let usage = "migraine plugin run every-feature show [OPTIONS] --size <SIZE> <PLACE> [TIMES] [REST]...";
    assert_eq!(show.usage, usage);
    assert!(!show.stdin);
    assert!(manifest.command("loop").unwrap().stdin);
    let timeouts = ["show", "loop", "quiet"].map(|name| manifest.command(name).unwrap().timeout);
    assert_eq!(timeouts, [None, Some(Timeout::Seconds(600)), Some(Timeout::None)]);
    assert_eq!(manifest.command("quiet").unwrap().usage, "migraine plugin run every-feature quiet [IGNORED]");
}

#[test]
fn subscriptions_are_declared_one_per_attribute() {
    let manifest = manifest::<full::Full>();
    let events: Vec<_> =
        manifest.hooks.iter().map(|hook| (hook.event.as_str(), hook.handler.name().unwrap_or_default())).collect();
    let expected = [
        ("pre-command", "watch"),
        ("custom:event", "watch"),
        ("post_command", "after"),
        ("post-workflow", "nothing"),
        ("command-error", "io"),
        ("workflow:post-deploy", ""),
        ("pre_command", ""),
    ];
    assert_eq!(events, expected);
    let (first, second) = (&manifest.hooks[0], &manifest.hooks[1]);
    assert_eq!((first.pattern.as_deref(), first.priority), (Some("^cargo"), 10));
    assert_eq!((first.on_failure, first.optional), (FailurePolicy::Fail, false));
    assert_eq!((second.before.join(" "), second.after.join(" ")), ("x y".to_owned(), "z".to_owned()));
    assert_eq!((second.priority, second.on_failure, second.optional), (-1, FailurePolicy::Ignore, true));
    assert_eq!(manifest.hooks[2].on_failure, FailurePolicy::Warn);
    let (plain, full) = (&manifest.hooks[5], &manifest.hooks[6]);
    assert_eq!(plain.command.as_deref(), Some("show --size={{size}} 'a place'"));
    assert_eq!((plain.priority, plain.on_failure), (0, FailurePolicy::Warn));
    assert_eq!((full.command.as_deref(), full.pattern.as_deref()), (Some("no-context"), Some("^x")));
    assert_eq!((full.priority, full.on_failure, full.optional), (3, FailurePolicy::Fail, true));
    assert_eq!(full.before, ["x"]);
}

#[test]
fn names_come_from_the_package_without_arguments() {
    let manifest = manifest::<unit::Unit>();
    assert_eq!(manifest.name, env!("CARGO_PKG_NAME"));
    assert_eq!(manifest.description, env!("CARGO_PKG_DESCRIPTION"));
    assert!(manifest.config.is_empty() && manifest.hooks.is_empty());
}

// covers: S96
#[test]
fn arguments_are_parsed_into_their_types() {
    let check = |args: &[&str], expected: &str| {
        let text = full().command("show", args).expect(expected);
        assert_eq!(text, format!("{expected} default\n"), "{args:?}");
    };
    check(&["--size", "2", "here"], "here None 2 [] 8080 None false []");
    check(&["here", "-3", "--size=4"], "here Some(-3) 4 [] 8080 None false []");
    check(
        &["-v", "-p", "80", "--note", "x", "-l", "a", "--label", "b", "--size", "6", "here", "1", "7", "8"],
        "here Some(1) 6 [\"a\", \"b\"] 80 Some('x') true [7, 8]",
    );
    check(&["--be-loud", "--port", "1", "--size", "2", "--", "--odd"], "--odd None 2 [] 1 None true []");
}

// covers: S89
#[test]
fn help_is_written_and_is_not_an_error() {
    let short = full().command("show", &["-h"]).unwrap();
    for part in [
        "Show all arguments",
        "Usage: migraine plugin run every-feature show [OPTIONS] --size <SIZE> <PLACE> [TIMES] [REST]...",
        "Where to go",
        "How often",
        "-l, --label <LABELS>",
        "-p, --port <PORT>",
        "[default: 8080]",
        "-v, --be-loud",
    ] {
        assert!(short.contains(part), "{part} in:\n{short}");
    }
    assert!(!short.contains("With details."));
    assert!(full().command("show", &["--help"]).unwrap().contains("With details."));
    let narrow = full().terminal(40).command("show", &["-h"]).unwrap();
    assert!(narrow.lines().count() > short.lines().count(), "wrapped to the terminal:\n{narrow}");
}

#[test]
fn usage_errors_name_the_argument_and_the_usage() {
    for (args, part) in [
        (&["here"][..], "--size <SIZE>"),
        (&["--size", "2"], "<PLACE>"),
        (&["--size", "3", "here"], "the number is odd"),
        (&["--size", "2", "here", "x"], "invalid digit"),
        (&["--size", "2", "here", "1", "256"], "number too large"),
        (&["--size", "2", "here", "--what"], "--what"),
    ] {
        let error = full().command("show", args).expect_err(part);
        assert_eq!(error.kind(), ErrorKind::Usage, "{args:?}");
        assert!(error.message().contains(part), "{part} in:\n{error}");
        assert!(!error.message().starts_with("error:"), "{error}");
    }
    let error = full().command("show", &["here"]).unwrap_err();
    assert!(error.message().contains("Usage: migraine plugin run every-feature show"), "{error}");
}

#[test]
fn every_outcome_of_a_command_is_an_answer() {
    let mut bench = full().stdin(b"input");
    bench.command("no-context", &[]).unwrap();
    assert_eq!(bench.command("quiet", &[]).unwrap(), "[]", "stdin was not declared");
    assert_eq!(bench.command("loop", &[]).unwrap(), "10 input 5");
    bench.command("fails", &["2"]).unwrap();
    let error = bench.command("fails", &["3"]).unwrap_err();
    assert_eq!((error.message(), error.help()), ("the number is odd", Some("add one")));
    let error = bench.command("show_all", &[]).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, "this plugin has no command `show_all`"));
}

#[test]
fn every_outcome_of_a_hook_is_an_answer() {
    let mut bench = full().grant("task_read".parse().unwrap());
    let message = |result: Result<migraine_plugin_api::HookResult, PluginError>| result.unwrap().message;
    assert_eq!(message(bench.hook(Context::new("pre-command"))).as_deref(), Some("pre-command 1"));
    assert_eq!(message(bench.hook(Context::new("custom:event"))).as_deref(), Some("custom:event 1"));
    assert!(!bench.hook(Context::new("post-command")).unwrap().continue_chain);
    assert_eq!(message(bench.hook(Context::new("post_workflow"))), None);
    assert_eq!(bench.hook(Context::new("command-error")).unwrap_err().message(), "disk");
    assert_eq!(bench.command("loop", &[]).unwrap(), "1200  5");
    let refused = full().config("word", "refuse").hook(Context::new("post-command")).unwrap_err();
    assert_eq!(refused.message(), "refused");
    let mut unknown = Context::new("pre-command");
    "absent".clone_into(&mut unknown.handler);
    assert_eq!(bench.hook(unknown).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn the_plugin_starts_and_ends() {
    let error = full().config("word", "").command("no-context", &[]).unwrap_err();
    assert_eq!(error.message(), "`word` is empty");
    assert_eq!(Bench::<unit::Unit>::new().command("go", &[]).unwrap(), "unit");
    assert_eq!(Bench::<defaulted::Named>::new().command("go", &[]).unwrap(), "named 0");
    assert_eq!(Bench::<defaulted::Tuple>::new().command("go", &[]).unwrap(), "tuple 7");
    assert_eq!(Bench::<defaulted::Started>::new().command("go", &[]).unwrap(), "started 9");
    assert_eq!(Bench::<defaulted::elsewhere::Apart>::new().command("go", &[]).unwrap(), "apart");
    assert!(manifest::<unit::Second>().commands.is_empty());
    let mut bench = full();
    bench.command("no-context", &[]).unwrap();
    bench.shutdown();
    assert_eq!(bench.command("loop", &[]).unwrap(), "0  5", "a new plugin was made");
}

#[test]
fn shutdown_reaches_the_method() {
    let host =
        migraine_plugin_api::Host::from_parts(std::sync::Arc::new(Silent), manifest::<full::Full>().config, Vec::new());
    let mut plugin = full::Full::create(&host).unwrap();
    let mut context = Context::new("post-workflow");
    "nothing".clone_into(&mut context.handler);
    plugin.hook(&context, &host).unwrap();
    assert_eq!(plugin.calls(), 1000);
    plugin.shutdown();
    assert_eq!(plugin.calls(), 0);
}

struct Silent;

impl migraine_plugin_api::Services for Silent {
    fn call(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Ok(Vec::new())
    }

    fn descriptor(&self, _: &str, _: &[u8]) -> Result<std::os::fd::OwnedFd, PluginError> {
        Err(PluginError::failed("none"))
    }
}
