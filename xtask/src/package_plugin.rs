//! `cargo xtask package-plugin`: crate → library → signed library and package; scripts → package; and one more machine for a
//! package that is there. The same sources give the same bytes on every run.

mod created;
mod files;
mod key;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use migraine_host::code::Coded;
use migraine_host::ids::Digest;
use migraine_host::manage::{Crate, PackageRequest, cargo_home, package, texts};
use migraine_host::package::target::{self, OWN, TARGETS, Target};
use migraine_host::trust::{SecretKey, trust_command};

use created::Created;
use files::{Earlier, Library, Out};

pub(crate) use files::Packaged;

use crate::flags::PackagePlugin;
use crate::project::Project;
use crate::ui;

/// Packages a crate or scripts and says what was made.
pub(crate) fn run(project: &Project, flags: &PackagePlugin) -> Result<()> {
    let (key, origin) = key::load_or_make(flags.key.as_deref(), &flags.passphrase)?;
    ui::say(origin);
    let target = match &flags.target {
        None => OWN,
        Some(name) => target::known(name).with_context(|| {
            let known: Vec<_> = TARGETS.iter().map(|target| target.triple).collect();
            format!("`{name}` is no machine that is known ({})", known.join(", "))
        })?,
    };
    let (name, paths) = match Source::look(project, &flags.name)? {
        Source::Scripts(folder) => scripts(&folder, flags, &key)?,
        Source::Crate(found) => {
            let usual = found.target.join("plugins");
            // As cargo does, what is built takes the place of what was built before.
            let replaces = flags.force || flags.out.is_none();
            let out = Out { folder: flags.out.as_deref().unwrap_or(&usual), replaces };
            let library = library(&found, target, flags.library.as_deref())?;
            let Packaged { name, library, signature, package, earlier } = match &flags.add_to {
                Some(package) => files::add(&library, package, &key, out)?,
                None => files::write(&library, &created(&found.folder)?, texts(&found.folder)?, &key, out)?,
            };
            said(&package, earlier);
            (name, [library, signature, package].to_vec())
        }
    };
    for path in paths {
        let bytes = fs::read(&path)?;
        ui::say(format!("{}  {} bytes  sha256 {}", path.display(), bytes.len(), Digest::of(&bytes)));
    }
    ui::say("a machine that shall install it must trust the key:");
    ui::say(format!("  {}", trust_command(&key.public(), &name)));
    Ok(())
}

/// Builds, signs and writes a crate for this machine; `out` is by default the folder `plugins` in its target folder.
pub(crate) fn make(project: &Project, name: &str, key: &SecretKey, out: Option<&Path>) -> Result<Packaged> {
    let Source::Crate(found) = Source::look(project, name)? else { bail!("`{name}` is no crate") };
    let usual = found.target.join("plugins");
    let library = library(&found, OWN, None)?;
    let out = Out { folder: out.unwrap_or(&usual), replaces: true };
    files::write(&library, &created(&found.folder)?, texts(&found.folder)?, key, out)
}

/// Says what became of an earlier package; where there was none, nothing.
fn said(package: &Path, earlier: Earlier) {
    match earlier {
        Earlier::None => {}
        Earlier::Same => ui::say(format!("{} is unchanged", package.display())),
        Earlier::Replaced => ui::say(format!("{} held something else, and is replaced", package.display())),
    }
}

fn created(folder: &Path) -> Result<String> {
    let Created { text, origin } = created::of(folder)?;
    ui::say(format!("created {text} ({origin})"));
    Ok(text)
}

/// The library that was named, or the one that is built.
fn library(found: &Crate, target: &'static Target, named: Option<&Path>) -> Result<Library> {
    if let Some(path) = named {
        let file_name = path.file_name().and_then(|name| name.to_str()).context("the library has no name")?;
        let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        return Ok(Library { file_name: file_name.to_owned(), bytes, target });
    }
    let built = found.build(Some(target.triple)).map_err(with_help)?;
    Ok(Library { file_name: built.file_name, bytes: built.bytes, target })
}

/// Scripts need no toolchain: what packages them is the product.
fn scripts(folder: &Path, flags: &PackagePlugin, key: &SecretKey) -> Result<(String, Vec<PathBuf>)> {
    if flags.add_to.is_some() || flags.target.is_some() || flags.library.is_some() {
        bail!("`{}` holds scripts, which are for every machine: there is nothing to build or to add", folder.display());
    }
    let out = flags.out.clone().unwrap_or_else(|| PathBuf::from("."));
    fs::create_dir_all(&out).with_context(|| format!("cannot make `{}`", out.display()))?;
    let created = created(folder)?;
    let request = PackageRequest { source: folder, key, out: &out, created: &created, force: flags.force };
    let report = package(&request).map_err(with_help)?;
    if !report.changed {
        said(&report.path, Earlier::Same);
    }
    Ok((report.name.to_string(), vec![report.path]))
}

/// An error of the product, with its code and what to do next.
#[allow(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn with_help<E: Coded>(error: E) -> anyhow::Error {
    let help = error.help().map(|help| format!("\n  help: {help}")).unwrap_or_default();
    anyhow::anyhow!("[{}] {error}{help}", error.code())
}

/// What was meant.
enum Source {
    Crate(Crate),
    /// The folder of a manifest.
    Scripts(PathBuf),
}

impl Source {
    fn look(project: &Project, name: &str) -> Result<Self> {
        if let Some(package) = project.package(name) {
            return Ok(Self::Crate(Crate::find(&package.folder).map_err(with_help)?));
        }
        let folder = Path::new(name);
        if folder.join("Cargo.toml").is_file() {
            return Ok(Self::Crate(Crate::find(folder).map_err(with_help)?));
        }
        let is_manifest = |file: &str| folder.join(file).is_file();
        if migraine_host::package::scripts::MANIFEST_NAMES.into_iter().any(is_manifest) || folder.is_file() {
            return Ok(Self::Scripts(folder.to_owned()));
        }
        let known = project.plugins().map(|package| package.name.clone()).collect::<Vec<_>>().join(", ");
        bail!("`{name}` is neither a package of this workspace ({known}) nor the folder of a crate or of scripts")
    }
}

/// Where cargo keeps what it downloads.
pub(crate) fn home_of_cargo() -> Result<PathBuf> {
    cargo_home().context("neither CARGO_HOME nor HOME is set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_by_name_and_by_folder() {
        let project = Project::here().unwrap();
        let folder = project.root.join("examples/hello-world");
        for name in ["hello-world", folder.to_str().unwrap()] {
            let Source::Crate(found) = Source::look(&project, name).unwrap() else { panic!("{name} is a crate") };
            assert_eq!((found.name.as_str(), &found.folder), ("hello-world", &folder));
        }
        let scripts = project.root.join("examples/notification");
        assert!(matches!(Source::look(&project, scripts.to_str().unwrap()).unwrap(), Source::Scripts(_)));
        let refused = |name: &str| Source::look(&project, name).err().unwrap().to_string();
        assert!(refused("nothing-here").contains("hello-world"));
        assert!(refused("migraine-host").contains("cdylib"));
    }
}
