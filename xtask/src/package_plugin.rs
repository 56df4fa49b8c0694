//! `cargo xtask package-plugin`: crate → library → signed library and package, the same bytes on every run.

mod build;
mod created;
mod key;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use migraine_host::ids::Digest;
use migraine_host::package::build::assemble;
use migraine_host::package::{Opened, open, open_library};
use migraine_host::policy::Policy;
use migraine_host::trust::{PublicKey, SecretKey, trust_command};

pub(crate) use build::cargo_home;
use created::Created;

use crate::flags::PackagePlugin;
use crate::project::{Package, Project};
use crate::ui;

/// What is not signed, since nobody could install it without a policy of their own.
const REFUSED: &str = "an installation would refuse the plugin";

/// A packaged plugin.
#[derive(Debug)]
pub(crate) struct Packaged {
    name: String,
    created: Created,
    /// The bare library and its signature file.
    pub(crate) library: PathBuf,
    pub(crate) signature: PathBuf,
    /// The package.
    pub(crate) package: PathBuf,
}

/// Packages a crate and says what was made.
pub(crate) fn run(project: &Project, flags: &PackagePlugin) -> Result<()> {
    let (key, origin) = key::load_or_make(flags.key.as_deref(), &flags.passphrase)?;
    ui::say(origin);
    let packaged = make(project, &flags.name, &key, flags.out.as_deref())?;
    ui::say(format!("created {} ({})", packaged.created.text, packaged.created.origin));
    for path in [&packaged.library, &packaged.signature, &packaged.package] {
        let bytes = fs::read(path)?;
        ui::say(format!("{}  {} bytes  sha256 {}", path.display(), bytes.len(), Digest::of(&bytes)));
    }
    ui::say("a machine that shall install it must trust the key:");
    ui::say(format!("  {}", trust_command(&key.public(), &packaged.name)));
    Ok(())
}

/// Builds, signs and writes; `out` is by default the folder `plugins` in the crate's target folder.
pub(crate) fn make(project: &Project, name: &str, key: &SecretKey, out: Option<&Path>) -> Result<Packaged> {
    let found = Found::look(project, name)?;
    let created = created::of(&found.package().folder)?;
    let library = build::library(found.project(), found.package(), found.is_member())?;
    let usual = found.project().target.join("plugins");
    write(&library, created, key, out.unwrap_or(&usual))
}

/// The crate that was meant.
enum Found<'a> {
    Member(&'a Project, &'a Package),
    Other(Project, usize),
}

impl<'a> Found<'a> {
    fn look(project: &'a Project, name: &str) -> Result<Self> {
        if let Some(package) = project.package(name) {
            return Self::checked(Self::Member(project, package));
        }
        let known = || project.plugins().map(|package| package.name.clone()).collect::<Vec<_>>().join(", ");
        let folder = Path::new(name).canonicalize().ok().filter(|folder| folder.join("Cargo.toml").is_file());
        let folder = folder.with_context(|| {
            format!("`{name}` is neither a package of this workspace ({}) nor the folder of a crate", known())
        })?;
        if let Some(package) = project.packages.iter().find(|package| package.folder == folder) {
            return Self::checked(Self::Member(project, package));
        }
        let other = Project::around(&folder)?;
        let index = other.packages.iter().position(|package| package.folder == folder);
        let index = index.with_context(|| format!("`{}` is a workspace, name one of its crates", folder.display()))?;
        Self::checked(Self::Other(other, index))
    }

    fn checked(self) -> Result<Self> {
        if !self.package().has_cdylib() {
            bail!("`{}` builds no library; a plugin has `crate-type = [\"cdylib\"]`", self.package().name);
        }
        Ok(self)
    }

    fn project(&self) -> &Project {
        match self {
            Self::Member(project, _) => project,
            Self::Other(project, _) => project,
        }
    }

    fn package(&self) -> &Package {
        match self {
            Self::Member(_, package) => package,
            Self::Other(project, index) => &project.packages[*index],
        }
    }

    /// Whether it is built with this workspace's own profile.
    fn is_member(&self) -> bool {
        matches!(self, Self::Member(..))
    }
}

/// Signs a built library and writes the three files.
fn write(library: &Path, created: Created, key: &SecretKey, out: &Path) -> Result<Packaged> {
    let file_name = library.file_name().and_then(|name| name.to_str()).context("the library has no name")?;
    let bytes = fs::read(library).with_context(|| format!("cannot read `{}`", library.display()))?;
    let assembled = assemble(bytes.clone(), file_name, &created.text).context("the library cannot be packaged")?;
    let defaults = Policy::default();
    let index = &assembled.package_index;
    let files = index.files.iter().map(|file| file.path.as_str()).filter(|path| *path != index.entry);
    defaults.check_files(files).context(REFUSED)?;
    defaults.check_size(u64::try_from(bytes.len())?).context(REFUSED)?;
    let sidecar = assembled.sidecar(&key.sign(assembled.sidecar_index.render().as_bytes()));
    let package = assembled.package(&key.sign(assembled.package_index.render().as_bytes()))?;
    defaults.check_size(u64::try_from(package.len())?).context(REFUSED)?;

    // What is about to be handed out must be what an installation accepts.
    check(open_library(bytes.clone(), Some(sidecar.as_bytes()), file_name)?, &key.public())?;
    check(open(package.clone())?, &key.public())?;

    fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
    let packaged = Packaged {
        name: assembled.package_index.name.to_string(),
        created,
        library: out.join(file_name),
        signature: out.join(format!("{file_name}.sig")),
        package: out.join(assembled.package_name()),
    };
    replace(&packaged.library, &bytes)?;
    replace(&packaged.signature, sidecar.as_bytes())?;
    replace(&packaged.package, &package)?;
    Ok(packaged)
}

fn check(opened: Opened, key: &PublicKey) -> Result<()> {
    let signature = opened.signature.context("the result has no signature")?;
    if !key.verify(&opened.index_text, &signature) {
        bail!("the result's signature does not verify");
    }
    opened.into_package().context("the result would be refused")?;
    Ok(())
}

/// Writes a file as a whole: a reader sees the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use migraine_host::policy::PLUGIN_SIZE;

    use super::*;

    #[test]
    fn crates_are_found_by_name_and_by_folder() {
        let project = Project::here().unwrap();
        let folder = project.root.join("examples/hello-world");
        for name in ["hello-world", folder.to_str().unwrap()] {
            let found = Found::look(&project, name).unwrap();
            assert!(found.is_member());
            assert_eq!(found.package().name, "hello-world");
        }
        let refused = |name: &str| Found::look(&project, name).err().unwrap().to_string();
        assert!(refused("nothing-here").contains("hello-world"));
        assert!(refused("migraine-host").contains("cdylib"));
    }

    #[test]
    fn a_library_that_is_no_plugin_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libx.so");
        fs::write(&library, b"\x7fELF no").unwrap();
        let out = folder.path().join("out");
        let key = SecretKey::from_seed(&[7; 32]);
        let created = || Created { text: "1980-01-01T00:00:00Z".to_owned(), origin: "a test" };
        write(&library, created(), &key, &out).unwrap_err();
        assert!(!out.exists());

        // Some debug builds are larger than any installation takes.
        let manifest = r#"{"name":"x","version":"1.0.0","api_version":"1.0"}"#;
        let bytes = manifest.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",");
        let section = r#"__attribute__((section(".migraine.manifest"), used))"#;
        let source = folder.path().join("x.c");
        fs::write(&source, format!("{section} static const unsigned char manifest[] = {{ {bytes} }};")).unwrap();
        let mut gcc = std::process::Command::new("gcc");
        assert!(gcc.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap().success());
        write(&library, created(), &key, &folder.path().join("good")).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&library).unwrap();
        file.set_len(PLUGIN_SIZE + 1).unwrap();
        let error = format!("{:#}", write(&library, created(), &key, &out).unwrap_err());
        assert!(error.contains("max_plugin_size"), "{error}");
        assert!(!out.exists());
    }
}
