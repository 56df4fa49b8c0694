//! Signs what was built and writes it; what an installation would refuse is not signed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use migraine_host::package::build::{add_target, assemble_with};
use migraine_host::package::target::Target;
use migraine_host::package::{Files, Index, Opened, open, open_library};
use migraine_host::policy::Policy;
use migraine_host::trust::{PublicKey, SecretKey};

use super::with_help;
use crate::ui;

/// What is not signed, since nobody could install it without a policy of their own.
const REFUSED: &str = "an installation would refuse the plugin";

/// A library and the machine that it is for.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) file_name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) target: &'static Target,
}

/// A packaged plugin.
#[derive(Debug)]
pub(crate) struct Packaged {
    pub(super) name: String,
    /// The bare library and its signature file.
    pub(crate) library: PathBuf,
    pub(crate) signature: PathBuf,
    /// The package.
    pub(crate) package: PathBuf,
    /// What had its name.
    pub(super) earlier: Earlier,
}

/// Where files are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out<'a> {
    pub(super) folder: &'a Path,
    /// Also in the place of an earlier package of the same version that holds other bytes: it was handed out perhaps, and
    /// whoever installed it takes no other content under that version.
    pub(super) replaces: bool,
}

/// A package that had the name of a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    None,
    /// It holds the same bytes.
    Same,
    Replaced,
}

/// Signs a library and the texts beside it, and writes the three files.
pub(super) fn write(
    library: &Library,
    created: &str,
    texts: Vec<(String, Vec<u8>)>,
    key: &SecretKey,
    out: Out<'_>,
) -> Result<Packaged> {
    let Library { file_name, bytes, target } = library;
    let assembled = assemble_with(bytes.clone(), file_name, created, texts, target).map_err(with_help)?;
    allowed(&assembled.package_index, bytes.len())?;
    let sidecar = assembled.sidecar(&key.sign(assembled.sidecar_index.render().as_bytes()));
    let package = assembled.package(&key.sign(assembled.package_index.render().as_bytes())).map_err(with_help)?;
    let name = assembled.package_name();
    finish(library, &sidecar, &package, key, (out, &assembled.package_index, &name))
}

/// Adds a library to a package, signs both again and writes them; all else in the package stays.
pub(super) fn add(library: &Library, to: &Path, key: &SecretKey, out: Out<'_>) -> Result<Packaged> {
    let bytes = fs::read(to).with_context(|| format!("cannot read `{}`", to.display()))?;
    let base = bytes.clone();
    let opened = open(bytes).map_err(with_help).with_context(|| format!("`{}` is refused", to.display()))?;
    let signature = opened.signature.context("the package has no signature")?;
    if signature.key != *key.public().as_bytes() {
        bail!(
            "`{}` is signed by {}, not by the key that would sign it now, {}",
            to.display(),
            signature.fingerprint(),
            key.fingerprint()
        );
    }
    if !key.public().verify(&opened.index_text, &signature) {
        bail!("the signature of `{}` does not belong to its content", to.display());
    }
    let Files { index, files, .. } = opened.into_files().map_err(with_help)?;
    let Library { file_name, bytes, target } = library;
    let joined = add_target(&index, &files, bytes, target).map_err(with_help)?;
    allowed(&joined.index, bytes.len())?;
    ui::say(format!("for {}", joined.index.targets().join(", ")));
    let bare = assemble_with(bytes.clone(), file_name, &index.created, Vec::new(), target).map_err(with_help)?;
    let sidecar = bare.sidecar(&key.sign(bare.sidecar_index.render().as_bytes()));
    let package = joined.package(&key.sign(joined.index.render().as_bytes())).map_err(with_help)?;
    let name = bare.package_name();
    // What it is added to lies there mostly, and all of it stays.
    let is_base = || fs::read(out.folder.join(&name)).is_ok_and(|there| there == base);
    let out = Out { replaces: out.replaces || is_base(), ..out };
    finish(library, &sidecar, &package, key, (out, &joined.index, &name))
}

/// What a policy says by default of files and sizes.
fn allowed(index: &Index, library: usize) -> Result<()> {
    let defaults = Policy::default();
    let entries: Vec<String> = index.builds().into_iter().map(|build| build.entry).collect();
    let files = index.files.iter().map(|file| file.path.as_str()).filter(|path| !entries.iter().any(|e| e == path));
    defaults.check_files(files).map_err(with_help).context(REFUSED)?;
    defaults.check_size(u64::try_from(library)?).map_err(with_help).context(REFUSED)
}

/// What is about to be handed out must be what an installation accepts.
fn finish(
    library: &Library,
    sidecar: &str,
    package: &[u8],
    key: &SecretKey,
    (Out { folder, replaces }, index, package_name): (Out<'_>, &Index, &str),
) -> Result<Packaged> {
    let Library { file_name, bytes, .. } = library;
    Policy::default().check_size(u64::try_from(package.len())?).map_err(with_help).context(REFUSED)?;
    check(open_library(bytes.clone(), Some(sidecar.as_bytes()), file_name).map_err(with_help)?, &key.public())?;
    check(open(package.to_vec()).map_err(with_help)?, &key.public())?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let path = folder.join(package_name);
    let earlier = earlier(&path, package)?;
    if earlier == Earlier::Replaced && !replaces {
        bail!(
            "`{}` is there already, and holds something else under the same version\n  help: what was changed gets a new \
             version; write it somewhere else, or add --force to replace this one",
            path.display()
        );
    }
    let packaged = Packaged {
        name: index.name.to_string(),
        library: folder.join(file_name),
        signature: folder.join(format!("{file_name}.sig")),
        package: path,
        earlier,
    };
    replace(&packaged.library, bytes)?;
    replace(&packaged.signature, sidecar.as_bytes())?;
    replace(&packaged.package, package)?;
    Ok(packaged)
}

/// What has the name of a new package.
fn earlier(path: &Path, package: &[u8]) -> Result<Earlier> {
    match fs::read(path) {
        Ok(there) if there == package => Ok(Earlier::Same),
        Ok(_) => Ok(Earlier::Replaced),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Earlier::None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

fn check(opened: Opened, key: &PublicKey) -> Result<()> {
    let signature = opened.signature.context("the result has no signature")?;
    if !key.verify(&opened.index_text, &signature) {
        bail!("the result's signature does not verify");
    }
    // What is for other machines alone was looked at when it was put together.
    if opened.index.is_for_this_machine() {
        opened.into_package().map_err(with_help).context("the result would be refused")?;
    } else {
        opened.into_files().map_err(with_help).context("the result would be refused")?;
    }
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
    use std::process::Command;

    use migraine_host::package::target::{OWN, TARGETS};
    use migraine_host::policy::PLUGIN_SIZE;

    use super::*;

    const CREATED: &str = "1980-01-01T00:00:00Z";

    fn compiled(folder: &Path) -> Library {
        let manifest = r#"{"name":"x","version":"1.0.0","api_version":"1.0"}"#;
        let bytes = manifest.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",");
        let section = r#"__attribute__((section(".migraine.manifest"), used))"#;
        let (source, library) = (folder.join("x.c"), folder.join("libx.so"));
        fs::write(&source, format!("{section} static const unsigned char manifest[] = {{ {bytes} }};")).unwrap();
        let mut gcc = Command::new("gcc");
        assert!(gcc.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap().success());
        Library { file_name: "libx.so".to_owned(), bytes: fs::read(library).unwrap(), target: OWN }
    }

    fn to(folder: &Path) -> Out<'_> {
        Out { folder, replaces: false }
    }

    fn other(library: &Library) -> Library {
        let target = TARGETS.iter().find(|target| !target.triple.starts_with(&OWN.triple[..6])).unwrap();
        let mut bytes = library.bytes.clone();
        bytes[18] = if target.triple.starts_with("aarch64") { 183 } else { 62 };
        Library { file_name: library.file_name.clone(), bytes, target }
    }

    #[test]
    fn what_nobody_could_install_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let key = SecretKey::from_seed(&[7; 32]);
        let refused = |library: &Library, texts: &[(&str, &str)]| {
            let texts = texts.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
            let error = format!("{:#}", write(library, CREATED, texts, &key, to(&out)).unwrap_err());
            assert!(!out.exists());
            error
        };
        let bad = Library { file_name: "libx.so".to_owned(), bytes: b"\x7fELF no".to_vec(), target: OWN };
        assert!(refused(&bad, &[]).contains("[elf_invalid]"));
        let mut library = compiled(folder.path());
        assert!(refused(&library, &[("plugin.yaml", "")]).contains("[duplicate]"));
        assert!(refused(&library, &[("../README.md", "")]).contains("[entry_path]"));
        assert!(refused(&library, &[("run.exe", "")]).contains("[policy_refused]"));
        write(&library, CREATED, Vec::new(), &key, to(&folder.path().join("good"))).unwrap();
        // Some debug builds are larger than any installation takes.
        library.bytes.resize(usize::try_from(PLUGIN_SIZE + 1).unwrap(), 0);
        assert!(refused(&library, &[]).contains("max_plugin_size"));
    }

    #[test]
    fn another_machine_is_added_by_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let (out, again) = (folder.path().join("out"), folder.path().join("again"));
        let key = SecretKey::from_seed(&[7; 32]);
        let library = compiled(folder.path());
        let texts = || vec![("README.md".to_owned(), b"# X".to_vec())];
        let one = write(&library, CREATED, texts(), &key, to(&out)).unwrap();
        let two = add(&other(&library), &one.package, &key, to(&again)).unwrap();
        let package = open(fs::read(&two.package).unwrap()).unwrap().into_package().unwrap();
        assert_eq!(package.index.targets().len(), 2);
        assert_eq!((package.index.version.to_string().as_str(), package.index.created.as_str()), ("1.0.0", CREATED));
        assert!(package.files.iter().any(|(entry, _)| entry.path == "README.md"));
        // From the other side the result is the same, byte for byte.
        let first = write(&other(&library), CREATED, texts(), &key, Out { replaces: true, ..to(&out) }).unwrap();
        let turned = add(&library, &first.package, &key, to(&again.join("turned"))).unwrap();
        assert_eq!(fs::read(&turned.package).unwrap(), fs::read(&two.package).unwrap());

        let error = add(&library, &two.package, &SecretKey::from_seed(&[8; 32]), to(&out)).unwrap_err().to_string();
        assert!(error.contains("not by the key"), "{error}");
    }

    #[test]
    fn another_package_of_the_same_version_stays() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let key = SecretKey::from_seed(&[7; 32]);
        let library = compiled(folder.path());
        let texts = |text: &str| vec![("README.md".to_owned(), text.as_bytes().to_vec())];
        let made = |text: &str, out| write(&library, CREATED, texts(text), &key, out);
        let one = made("# X", to(&out)).unwrap();
        let bytes = fs::read(&one.package).unwrap();
        assert_eq!((one.earlier, made("# X", to(&out)).unwrap().earlier), (Earlier::None, Earlier::Same));
        let error = made("# Y", to(&out)).unwrap_err().to_string();
        assert!(error.contains("x-1.0.0.mgp") && error.contains("--force"), "{error}");
        assert_eq!(fs::read(&one.package).unwrap(), bytes);
        // What is added to the package that lies there takes its place; added to another one, it does not.
        let place = folder.path().join("else");
        let elsewhere = made("# Z", to(&place)).unwrap();
        let other = other(&library);
        assert!(add(&other, &elsewhere.package, &key, to(&out)).is_err());
        assert_eq!(fs::read(&one.package).unwrap(), bytes);
        assert_eq!(add(&other, &one.package, &key, to(&out)).unwrap().earlier, Earlier::Replaced);
        assert_eq!(made("# Y", Out { replaces: true, ..to(&out) }).unwrap().earlier, Earlier::Replaced);
    }
}
