//! `migraine plugin`: a command group that any program can mount as its own. [`PluginArgs`] are its arguments, [`run`]
//! acts on them.

pub(super) mod audit;
mod call;
mod change;
mod config;
mod fsck;
mod install;
mod learn;
mod link;
mod list;
mod lock;
mod package;
mod projects;
mod show;
mod versions;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use migraine_plugin_api::Timeout;

use super::args::timeout;
use super::download::DownloadArgs;
use super::prompt::Terminal;
use super::session::directories;
use super::{Failure, Session};
use crate::ids::{Fingerprint, PluginName};
use crate::manage::{Consenting, ManageError, NoPrompt, Prompt};
use crate::policy::Grant;
use crate::store::{Home, Status};

/// Arguments of the group.
#[derive(Debug, Args)]
#[command(after_help = "A plugin's command can be called by its name alone: migraine plugin PLUGIN COMMAND [ARGS...]")]
pub struct PluginArgs {
    /// Act on the system store, whose plugins all users have; only root may
    #[arg(long, global = true)]
    system: bool,
    #[command(subcommand)]
    verb: PluginVerb,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum PluginVerb {
    /// Install a plugin, or another version of it
    Install(Box<InstallArgs>),
    /// List the plugins
    List(ListArgs),
    /// Show everything known of a plugin
    Info {
        /// The name of an installed plugin, a `.mgp` file, a `.so` file, a manifest, or a directory that holds one of these
        /// or an unpacked package
        target: PathBuf,
    },
    /// Let a plugin run
    Enable {
        /// The plugin
        name: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Keep a plugin from running
    Disable {
        /// The plugin
        name: String,
        /// Even if enabled plugins need it; they cannot run then
        #[arg(long)]
        force: bool,
    },
    /// Take back what was granted; a plugin that needs it is not enabled any more
    Revoke {
        /// The plugin
        name: String,
        /// What to take back, as after --grant; a permission without a scope takes all of its kind
        #[arg(required = true, value_name = "GRANT")]
        grants: Vec<Grant>,
    },
    /// Remove a plugin; its data stays
    #[command(alias = "remove")]
    Uninstall {
        /// The plugin
        name: String,
        /// Remove its data as well
        #[arg(long)]
        purge: bool,
        /// Even if other plugins need it; they cannot run then
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Install newer versions, from where the plugins came from and from the plugins folder
    Upgrade(UpgradeArgs),
    /// Show of which plugins there are newer versions
    Outdated(DownloadArgs),
    /// Go back to the version before, which is kept; nothing is fetched
    Rollback {
        /// The plugin
        name: String,
        /// Even if plugins that need each other do not go together then; they cannot run until they do
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        lock: LockArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Keep a plugin at its version, or let it go to no other than one
    Pin(PinArgs),
    /// Forget which versions of a plugin were installed before, so that older ones are not refused any more
    Forget {
        /// The plugin
        name: String,
        /// Say that this is what is meant
        #[arg(long, required = true)]
        history: bool,
    },
    /// Check all installed plugins and look for new ones in the folders that are looked through
    Refresh,
    /// Look at everything in the home directory: the state, every installed file, the keyring, data of plugins
    Fsck {
        /// Put right what can be; what is lost is named
        #[arg(long)]
        repair: bool,
    },
    /// Link a plugin under development to your own files, or confirm what became of them
    Link {
        /// A library, the manifest of scripts, or a directory that holds one of these
        path: PathBuf,
        /// Link a plugin of this name although it looks like another one
        #[arg(long, value_name = "NAME")]
        yes_i_mean: Option<PluginName>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Forget a linked plugin; its files and its data stay
    Unlink {
        /// The plugin
        name: String,
        /// Even if other plugins need it; they cannot run then
        #[arg(long)]
        force: bool,
    },
    /// Write `migraine.lock`: exactly these plugins belong to the project in this directory
    Lock {
        /// The plugins; what they need is locked as well [default: all that are enabled]
        names: Vec<PathBuf>,
        /// Even if something that they need is missing, or nothing is left to lock
        #[arg(long)]
        force: bool,
    },
    /// Write plugins, their keys and a lock into one file, for a site without a network
    Bundle {
        /// The file; an earlier bundle is replaced
        out: PathBuf,
        /// The plugins; what they need goes along [default: all that are enabled]
        names: Vec<PathBuf>,
        /// Even if something that they need is missing, and in the place of a file that is no bundle
        #[arg(long)]
        force: bool,
    },
    /// Look for plugins in the folder `plugins` of a project as well, as long as its content is what it is now
    TrustProject {
        /// The project's directory
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Look into the folder of a project no more
    UntrustProject {
        /// The project's directory
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check a file, or an installed plugin, without acting on it
    Verify {
        /// A `.mgp` file, a `.so` file, scripts, a directory that holds one of these or an unpacked package, or the name of
        /// an installed plugin
        target: PathBuf,
        /// Also say whether it is what this source makes: the folder of a crate, which is built, or of scripts. Building
        /// runs the source's own build scripts and macros
        #[arg(long, value_name = "DIR")]
        rebuild: Option<PathBuf>,
    },
    /// Say who vouches for a plugin, what it may do, and what a careful reader would stop at; nothing is run. Ends with exit
    /// code 3 where there is something for which an installation would refuse it
    Audit {
        /// The name of an installed plugin, a `.mgp` file, a `.so` file, scripts, a directory that holds one of these or an
        /// unpacked package, or one script
        /// [default: all that is installed]
        target: Option<PathBuf>,
    },
    /// Sign a plugin of scripts into a package; a library is packaged where it is built
    Package(package::PackageArgs),
    /// Show or change the configuration of a plugin
    Config(ConfigArgs),
    /// Call a command of a plugin; everything after COMMAND reaches it untouched
    #[command(visible_alias = "execute", disable_help_subcommand = true, arg_required_else_help = true)]
    #[command(subcommand_value_name = "PLUGIN> <COMMAND> <ARGS", subcommand_help_heading = "Plugins")]
    Run(CallArgs),
    #[command(external_subcommand)]
    Call(Vec<OsString>),
}

impl PluginVerb {
    /// Whether it is about what a user does, not about what is in a store.
    fn is_of_user(&self) -> bool {
        match self {
            Self::Link { .. } | Self::Unlink { .. } | Self::Lock { .. } | Self::Bundle { .. } => true,
            Self::TrustProject { .. } | Self::UntrustProject { .. } | Self::Package(_) => true,
            Self::Run(_) | Self::Call(_) => true,
            Self::Install(args) => args.locked,
            _ => false,
        }
    }
}

/// What is said of one plugin, not of all that a lock or a bundle names.
const ONE_ALONE: [&str; 6] =
    ["expect_digest", "name", "yes_i_mean", "allow_unsigned", "allow_downgrade", "allow_reuse"];

#[derive(Debug, Args)]
struct InstallArgs {
    /// A `.mgp` file, a `.so` file with its `.so.sig` beside it, the manifest of scripts, a directory that holds one of
    /// these or an unpacked package, the name of a plugin in one of the folders that are looked through, or an https://
    /// address, where one that does not end in `.mgp` is tried with `/plugin.mgp`; with --bundle or --locked the names of
    /// plugins, of which all are installed where none is named
    #[arg(required_unless_present_any = ["bundle", "locked"], value_name = "PATH|NAME|URL")]
    path: Vec<PathBuf>,
    /// Install from this bundle, and from nowhere else
    #[arg(long, value_name = "FILE", conflicts_with_all = ONE_ALONE)]
    bundle: Option<PathBuf>,
    /// Install exactly what `migraine.lock` of this directory names. Packages that are not on this machine are fetched from
    /// the addresses in it, once you agree
    #[arg(long, conflicts_with_all = ONE_ALONE)]
    locked: bool,
    /// With --locked, look for the packages in this folder and nowhere else; may be given several times
    #[arg(long, value_name = "DIR", requires = "locked")]
    from: Vec<PathBuf>,
    /// With --locked or --bundle, trust the keys that the lock names, each for the plugins that it is named with: only for a
    /// lock that comes from somebody you trust
    #[arg(long)]
    trust_locked_keys: bool,
    #[command(flatten)]
    lock: LockArgs,
    /// Judge everything and show what would happen, without changing anything or asking
    #[arg(long)]
    dry_run: bool,
    /// Install nothing but this: the SHA-256 digest of the file, or that of its index as `plugin info` shows it
    #[arg(long, value_name = "sha256:HEX")]
    expect_digest: Option<String>,
    /// Install nothing but the plugin of this name
    #[arg(long, value_name = "NAME")]
    name: Option<PluginName>,
    /// Install a plugin of this name although it looks like another one
    #[arg(long, value_name = "NAME")]
    yes_i_mean: Option<PluginName>,
    /// Make an exception for exactly these bytes, if they are not signed
    #[arg(long)]
    allow_unsigned: bool,
    /// If its key is not known, trust the one of this fingerprint, for this plugin alone, without being asked
    #[arg(long, value_name = "ed25519:HEX")]
    trust_key: Option<Fingerprint>,
    /// Go back to exactly this version, although a newer one was installed before
    #[arg(long, value_name = "X.Y.Z")]
    allow_downgrade: Option<semver::Version>,
    /// Take exactly this version, although it was installed before with another content
    #[arg(long, value_name = "X.Y.Z")]
    allow_reuse: Option<semver::Version>,
    #[command(flatten)]
    download: DownloadArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Args)]
struct LockArgs {
    /// Leave `migraine.lock` of this directory as it is
    #[arg(long)]
    no_lock: bool,
}

#[derive(Debug, Args)]
struct UpgradeArgs {
    /// The plugin
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Upgrade every plugin; one that is refused does not keep the others from it
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    lock: LockArgs,
    #[command(flatten)]
    download: DownloadArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Args)]
struct PinArgs {
    /// The plugin
    name: String,
    /// The one version that may be installed [default: the installed one]
    version: Option<semver::Version>,
    /// Let any newer version take its place again
    #[arg(long, conflicts_with = "version")]
    off: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only plugins that stand so: enabled, disabled, installed, discovered, error, quarantined
    #[arg(long)]
    status: Option<Status>,
    /// List what is built in, and look into the folder `plugins` of the working directory as well
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The plugin
    name: String,
    #[command(subcommand)]
    action: Option<ConfigAction>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum ConfigAction {
    /// Show one key or all
    Get {
        /// The key
        key: Option<String>,
    },
    /// Use a value instead of the manifest's
    Set {
        /// The key
        key: String,
        /// The value: text as it is, numbers and truth values as in JSON
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Use the manifest's value again
    Unset {
        /// The key
        key: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// The plugin is an external subcommand for clap: from there on it leaves every word alone, `--` and `--help` too.
#[derive(Debug, Args)]
struct CallArgs {
    /// The most time the command may take, in seconds, or `none` [default: what it was granted, or else 30]; a cap of
    /// the policy still holds
    #[arg(long, value_name = "SECONDS", value_parser = timeout)]
    timeout: Option<Timeout>,
    /// Run it with whatever a permission could grant, and print the permissions that it used as a manifest has them. Only for
    /// a plugin that was installed from a file of this machine, and only after consent at a terminal.
    ///
    /// Seen are endpoints, programs, files, and whether it asks for the workflow's variables. Not seen is what it reads of its
    /// environment, where it has the variables that it was granted, and what it would do in another run. Programs are those
    /// of the system. What no permission grants stays refused
    #[arg(long)]
    learn: bool,
    #[command(subcommand)]
    words: CallWords,
}

#[derive(Debug, Subcommand)]
enum CallWords {
    #[command(external_subcommand)]
    Words(Vec<OsString>),
}

/// How consent is given without being asked.
#[derive(Debug, Clone, Default, Args)]
struct ConsentArgs {
    /// Accept everything that is not dangerous
    #[arg(long)]
    yes: bool,
    /// Accept one thing: PERMISSION[=SCOPE], PERMISSION+PERMISSION, hook[=EVENT] or timeout[=COMMAND]; may be given
    /// several times. A plugin that asks for directories of your choice gets them by filesystem=read:DIR or
    /// filesystem=write:DIR
    #[arg(long, value_name = "WHAT")]
    grant: Vec<Grant>,
}

impl ConsentArgs {
    /// Acts with these decisions; a person is asked for the rest.
    fn with<T>(
        &self,
        home: &Home,
        act: impl FnOnce(&mut Consenting<'_>) -> Result<T, ManageError>,
    ) -> Result<T, Failure> {
        self.by(&mut Terminal, home, act)
    }

    /// Acts with these decisions, and with no others.
    fn alone<T>(
        &self,
        home: &Home,
        act: impl FnOnce(&mut Consenting<'_>) -> Result<T, ManageError>,
    ) -> Result<T, Failure> {
        self.by(&mut NoPrompt, home, act)
    }

    fn by<T>(
        &self,
        prompt: &mut dyn Prompt,
        home: &Home,
        act: impl FnOnce(&mut Consenting<'_>) -> Result<T, ManageError>,
    ) -> Result<T, Failure> {
        let directories = directories(home)?;
        let mut consenting = Consenting { yes: self.yes, grants: &self.grant, directories: &directories, prompt };
        Ok(act(&mut consenting)?)
    }
}

/// The directory that the user stands in: the project, whose lock counts.
///
/// # Errors
/// It is gone.
pub(super) fn project() -> Result<PathBuf, Failure> {
    lock::project()
}

/// The group as a clap command of the given name, for a program that builds its command line by hand.
#[must_use]
pub fn command(name: &'static str) -> clap::Command {
    let group = clap::Command::new(name).about("Install, look after and call plugins");
    PluginArgs::augment_args(group.arg_required_else_help(true))
}

/// Acts on the group's arguments.
///
/// # Errors
/// The verb was refused or failed; [`Session::finish`] shows why and gives the exit code.
pub fn run(args: PluginArgs, session: &Session) -> Result<(), Failure> {
    if !args.system {
        return act(args.verb, session);
    }
    if args.verb.is_of_user() {
        let why = "--system is for verbs that change or show the system store; this one is about a user's own work";
        return Err(Failure::usage(why.to_owned()));
    }
    act(args.verb, &session.of_system()?)
}

fn act(verb: PluginVerb, session: &Session) -> Result<(), Failure> {
    match verb {
        PluginVerb::Install(args) => install::run(*args, session),
        PluginVerb::List(args) => list::run(&args, session),
        PluginVerb::Info { target } => show::info(&target, session),
        PluginVerb::Enable { name, consent } => change::enable(&name, &consent, session),
        PluginVerb::Revoke { name, grants } => change::revoke(&name, &grants, session),
        PluginVerb::Disable { name, force } => change::disable(&name, force, session),
        PluginVerb::Uninstall { name, purge, force, lock } => change::uninstall(&name, (purge, force), &lock, session),
        PluginVerb::Upgrade(args) => versions::upgrade(&args, session),
        PluginVerb::Outdated(download) => versions::outdated(download, session),
        PluginVerb::Rollback { name, force, lock, consent } => {
            versions::rollback(&name, force, &lock, &consent, session)
        }
        PluginVerb::Pin(args) => versions::pin(args, session),
        PluginVerb::Forget { name, history: _ } => change::forget(&name, session),
        PluginVerb::Refresh => list::refresh(session),
        PluginVerb::Fsck { repair } => fsck::run(repair, session),
        PluginVerb::Link { path, yes_i_mean, consent } => link::link(&path, yes_i_mean.as_ref(), &consent, session),
        PluginVerb::Unlink { name, force } => link::unlink(&name, force, session),
        PluginVerb::Lock { names, force } => lock::lock(&names, force, session),
        PluginVerb::Bundle { out, names, force } => lock::bundle(&out, &names, force, session),
        PluginVerb::TrustProject { dir } => projects::trust(&dir, session),
        PluginVerb::UntrustProject { dir } => projects::untrust(&dir, session),
        PluginVerb::Verify { target, rebuild } => show::verify(&target, rebuild.as_deref(), session),
        PluginVerb::Audit { target } => audit::run(target.as_deref(), session),
        PluginVerb::Package(args) => package::run(&args, session),
        PluginVerb::Config(args) => config::run(args, session),
        PluginVerb::Run(CallArgs { timeout, learn, words: CallWords::Words(words) }) => {
            call::run(words, timeout, learn, session)
        }
        PluginVerb::Call(words) => call::run(words, None, false, session),
    }
}
