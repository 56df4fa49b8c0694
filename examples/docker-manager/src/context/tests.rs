//! What is in the archive of a context.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use migraine_plugin_api::{Config, PluginError, Services};
use tempfile::TempDir;

use super::*;

/// A host that offers nothing: opening a context asks it for its grants alone.
struct Nothing;

impl Services for Nothing {
    fn call(&self, service: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Err(service.into())
    }

    fn descriptor(&self, service: &str, _: &[u8]) -> Result<std::os::fd::OwnedFd, PluginError> {
        Err(service.into())
    }
}

fn host(granted: &Path) -> Host {
    let grant = format!("filesystem=read:{}", granted.display()).parse().unwrap();
    Host::from_parts(Arc::new(Nothing), Config::new(), vec![grant])
}

/// A granted folder with a folder `context` of these files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join("context").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn open(folder: &TempDir, file: &str) -> Result<BuildContext, PluginError> {
    let directory = folder.path().join("context");
    BuildContext::open(&host(folder.path()), directory.clone(), &directory.join(file))
}

/// The names in the archive, in its order, and what each holds.
fn archived(context: &BuildContext) -> (Vec<String>, BTreeMap<String, String>) {
    let mut bytes = Vec::new();
    context.write(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let (mut names, mut texts) = (Vec::new(), BTreeMap::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            text = format!("-> {}", target.display());
        }
        assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
        names.push(name.clone());
        texts.insert(name, text);
    }
    (names, texts)
}

#[test]
fn the_archive_is_the_directory_in_a_fixed_order() {
    let folder = folder(&[("Dockerfile", "FROM scratch"), ("z", "last"), ("a/b", "deep"), ("a.txt", "text")]);
    let context = folder.path().join("context");
    symlink("../outside", context.join("link")).unwrap();
    fs::set_permissions(context.join("z"), fs::Permissions::from_mode(0o4751)).unwrap();
    let long = "n".repeat(200);
    fs::write(context.join(&long), "long").unwrap();
    let opened = open(&folder, "Dockerfile").unwrap();
    let (names, texts) = archived(&opened);
    assert_eq!(names, ["Dockerfile", "a", "a/b", "a.txt", "link", long.as_str(), "z"]);
    assert_eq!((texts["a/b"].as_str(), texts["link"].as_str(), texts["z"].as_str()), ("deep", "-> ../outside", "last"));
    let mut bytes = Vec::new();
    opened.write(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let modes: Vec<u32> = archive.entries().unwrap().map(|entry| entry.unwrap().header().mode().unwrap()).collect();
    assert_eq!(modes.last(), Some(&0o4751));
}

#[test]
fn what_is_excluded_stays_at_home_but_for_what_the_daemon_reads() {
    let rules = "*\n!src\nsrc/*.o\n";
    let folder = folder(&[
        ("Dockerfile", "FROM scratch"),
        (".dockerignore", rules),
        ("secret", "s"),
        ("src/main.c", "c"),
        ("src/main.o", "o"),
        ("other/deep/file", "x"),
    ]);
    let (names, texts) = archived(&open(&folder, "Dockerfile").unwrap());
    assert_eq!(names, ["Dockerfile", ".dockerignore", "src", "src/main.c"]);
    assert_eq!(texts[".dockerignore"], rules);
}

#[test]
fn a_dockerfile_from_elsewhere_is_sent_along_under_a_free_name() {
    for rules in [None, Some("*.log")] {
        let folder = folder(&[("Dockerfile", "FROM other"), (".dockerfile.0", "taken")]);
        fs::write(folder.path().join("Else"), "FROM scratch").unwrap();
        if let Some(rules) = rules {
            fs::write(folder.path().join("context/.dockerignore"), rules).unwrap();
        }
        let file = folder.path().join("Else");
        let context = BuildContext::open(&host(folder.path()), folder.path().join("context"), &file).unwrap();
        assert_eq!(context.dockerfile(), ".dockerfile.1");
        let (names, texts) = archived(&context);
        assert_eq!(names, [".dockerfile.1", ".dockerignore", ".dockerfile.0", "Dockerfile"]);
        assert_eq!(texts[".dockerfile.1"], "FROM scratch");
        // The rule keeps it out of the image, and where there were no rules keeps them out as well.
        let expected = format!("{}\n.dockerfile.1\n", rules.unwrap_or(".dockerignore"));
        assert_eq!(texts[".dockerignore"], expected);
        let narrow = host(&folder.path().join("context"));
        let error = BuildContext::open(&narrow, folder.path().join("context"), &file).unwrap_err();
        assert_eq!(error.message(), format!("the directory {} is not granted", folder.path().display()));
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = folder(&[("Dockerfile", "FROM scratch"), ("bad/.dockerignore", "[a")]);
    let context = folder.path().join("context");
    let try_open = |directory: &Path, file: &str| {
        BuildContext::open(&host(folder.path()), directory.to_owned(), &directory.join(file)).unwrap_err().to_string()
    };
    assert!(try_open(&context, "Gone").contains("context/Gone: No such file"));
    assert!(try_open(&context.join("gone"), "Dockerfile").contains("context/gone: No such file"));
    assert!(try_open(&context.join("Dockerfile"), "x").ends_with("context/Dockerfile is no directory"));
    assert!(try_open(&context.join("bad"), "Dockerfile").starts_with("line 1 of .dockerignore"));
    fs::write(context.join("Huge"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    fs::write(context.join(".dockerignore"), "Huge").unwrap();
    assert!(try_open(&context, "Huge").ends_with("larger than 1 MiB"));
}

#[test]
fn sockets_and_pipes_are_left_out_and_said() {
    let folder = folder(&[("Dockerfile", "FROM scratch")]);
    let _listener = UnixListener::bind(folder.path().join("context/socket")).unwrap();
    let context = open(&folder, "Dockerfile").unwrap();
    assert_eq!(context.write(io::sink()).unwrap(), [Path::new("socket")]);
    assert_eq!(archived(&context).0, ["Dockerfile"]);
}

#[test]
fn a_file_that_shrinks_is_an_error_and_no_broken_archive() {
    let folder = folder(&[("file", "12345")]);
    let file = File::open(folder.path().join("context/file")).unwrap();
    let mut exact = Exact { inner: file.take(9), left: 9 };
    let error = io::copy(&mut exact, &mut io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
