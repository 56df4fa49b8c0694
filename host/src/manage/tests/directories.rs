//! Directories: named by the user, named by the manifest, refused, taken back.

use std::os::unix::fs::symlink;

use super::*;
use crate::policy::Access;
use crate::wire::DIRECTORIES_MAX;

impl Bench {
    fn user(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("user")
    }

    /// A directory of the user, made.
    fn made(&self, name: &str) -> String {
        let path = self.user().join(name);
        fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn revoke(&self, grants: &[&str]) -> Result<RevokeReport, ManageError> {
        let grants: Vec<Grant> = grants.iter().map(|text| text.parse().unwrap()).collect();
        revoke(&self.home, &demo(), &grants, &self.directories())
    }
}

fn read(path: &str) -> String {
    format!("filesystem=read:{path}")
}

#[test]
fn a_plugin_gets_the_directories_that_are_named() {
    let bench = bench();
    let (x, y) = (bench.made("project/x"), bench.made("y"));
    let path = bench.built("1.0.0", r#","permissions":["filesystem"]"#);
    let report = bench.install(&path, &[]).unwrap();
    assert_eq!(report.status, Status::Enabled, "none is fine");
    assert!(report.granted[0].ends_with("(none so far)"), "{:?}", report.granted);
    assert!(bench.grants().is_empty());
    for whole in ["filesystem", "filesystem=read:*"] {
        let error = bench.enable(&[whole]).unwrap_err();
        assert_eq!(error.code(), Code::ValueInvalid);
        assert!(error.help().unwrap().contains("--grant filesystem=read:DIR"), "{error}");
    }
    // Relative to the working directory, and through a link.
    bench.enable(&[&read("x")]).unwrap();
    assert_eq!(bench.grants(), [read(&x)]);
    symlink(&y, bench.user().join("link")).unwrap();
    bench.enable(&[&read("../link/.")]).unwrap();
    assert_eq!(bench.grants(), [read(&x), read(&y)]);
    assert!(!bench.enable(&[&read("x")]).unwrap().changed);
    // A new version keeps them.
    bench.install(&bench.built("1.1.0", r#","permissions":["filesystem=read:*"]"#), &[]).unwrap();
    assert_eq!((bench.grants(), bench.status()), (vec![read(&x), read(&y)], Status::Enabled));
    assert_eq!(code(bench.enable(&[&format!("filesystem=write:{x}")])), Code::ValueInvalid);
}

#[test]
fn no_more_directories_are_granted_than_a_plugin_can_have() {
    let bench = bench();
    bench.install(&bench.built("1.0.0", r#","permissions":["filesystem"]"#), &[]).unwrap();
    let grants: Vec<String> = (0..=DIRECTORIES_MAX).map(|at| read(&bench.made(&format!("d{at}")))).collect();
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    let error = bench.enable(&grants).unwrap_err();
    assert_eq!((error.code(), bench.grants().len()), (Code::DirectoryRefused, 0), "{error}");
    bench.enable(&grants[1..]).unwrap();
    assert_eq!(code(bench.enable(&grants[..1])), Code::DirectoryRefused);
    // One that is inside of another adds none.
    bench.enable(&[&read(&bench.made("d5/inner"))]).unwrap();
}

#[test]
fn some_directories_are_given_to_nobody() {
    let bench = bench();
    bench.install(&bench.built("1.0.0", r#","permissions":["filesystem"]"#), &[]).unwrap();
    let (secret, store) = (bench.made(".ssh"), bench.home.path().to_str().unwrap().to_owned());
    symlink("/proc", bench.user().join("innocent")).unwrap();
    fs::write(bench.user().join("file"), "").unwrap();
    for (typed, expected) in [
        ("/", Code::DirectoryRefused),
        ("..", Code::DirectoryRefused),
        ("../..", Code::DirectoryRefused),
        ("/proc/self", Code::DirectoryRefused),
        ("../innocent", Code::DirectoryRefused),
        (&secret, Code::DirectoryRefused),
        (&store, Code::DirectoryRefused),
        ("../file", Code::ValueInvalid),
        ("no-such", Code::FileNotFound),
        ("~/x", Code::FileNotFound),
    ] {
        assert_eq!(code(bench.enable(&[&read(typed)])), expected, "{typed}");
    }
    assert_eq!(Code::DirectoryRefused.exit().number(), 6);
    assert!(bench.grants().is_empty());
    // The positive control: beside them it works.
    bench.made(".sshx");
    bench.enable(&[&read("../.sshx")]).unwrap();
}

#[test]
fn directories_of_a_manifest_are_those_that_were_consented_to() {
    let bench = bench();
    let logs = bench.made("project/logs");
    let manifest = r#","permissions":[{"filesystem":{"read":["~/notes"],"write":["./logs"]}}]"#;
    let path = bench.built("1.0.0", manifest);
    let report = bench.install(&path, &[]).unwrap();
    assert_eq!(report.missing[1].words, format!("read and change files in ./logs ({logs})"));
    assert_eq!(report.missing[1].grant, format!("filesystem=write:{logs}"));
    // What is asked for may come into being later.
    let notes = bench.user().join("notes").to_str().unwrap().to_owned();
    bench.enable(&["--yes"]).unwrap();
    let expected = [read(&notes), format!("filesystem=write:{logs}")];
    assert_eq!(bench.grants(), expected);
    // Somewhere else it is still the same directory.
    let elsewhere = Directories::new(&bench.home, &[bench.user()], bench.folder.path());
    let mut consenting = Consenting { yes: false, grants: &[], directories: &elsewhere, prompt: &mut NoPrompt };
    assert!(!enable(&bench.home, &demo(), &mut consenting).unwrap().changed);
    assert_eq!(bench.grants(), expected);
    // When it is taken back, it is found anew.
    bench.revoke(&[&format!("filesystem=write:{logs}")]).unwrap();
    let said = ["filesystem".parse().unwrap()];
    let mut consenting = Consenting { yes: false, grants: &said, directories: &elsewhere, prompt: &mut NoPrompt };
    enable(&bench.home, &demo(), &mut consenting).unwrap();
    let moved = bench.folder.path().canonicalize().unwrap().join("logs");
    assert_eq!(bench.grants()[1], format!("filesystem=write:{}", moved.display()));
}

#[test]
fn a_manifest_cannot_ask_for_what_nobody_gets_or_understands() {
    let bench = bench();
    let asking = |version: &str, scope: &str| {
        let path = bench.built(version, &format!(r#","permissions":["{scope}"]"#));
        (bench.install(&path, &["--yes"]).err().map(|error| error.code()), path)
    };
    for (at, scope) in
        ["read:/", "read:~", "write:~/.ssh", "read:/proc", "read:/run/user", "read:..x/../.."].into_iter().enumerate()
    {
        let expected = if scope.contains("..") { Code::ManifestInvalid } else { Code::DirectoryRefused };
        assert_eq!(asking(&format!("1.0.{at}"), &format!("filesystem={scope}")).0, Some(expected), "{scope}");
    }
    let (refused, path) = asking("2.0.0", "network=localhost");
    assert_eq!(refused, Some(Code::ManifestInvalid));
    let error = verify(&bench.home, &path, CREATED).unwrap_err();
    assert!(error.to_string().contains("permissions: `network=localhost`: an endpoint is written"), "{error}");
    assert_eq!(asking("3.0.0", "filesystem=read:/srv/data").0, None);
}

#[test]
fn naming_a_directory_can_make_a_pair() {
    let bench = bench();
    let x = bench.made("x");
    let path = bench.built("1.0.0", r#","permissions":["filesystem=read:*","network=a:1"]"#);
    assert_eq!(bench.install(&path, &["--yes"]).unwrap().status, Status::Enabled);
    let error = bench.enable(&[&read("../x")]).unwrap_err();
    assert_eq!(error.code(), Code::ConsentRequired);
    let line = "run: migraine plugin enable demo --grant filesystem=read:../x --grant filesystem+network";
    assert!(error.help().unwrap().ends_with(line), "{:?}", error.help());
    assert_eq!((bench.status(), bench.grants()), (Status::Enabled, vec!["network=a:1".to_owned()]));
    bench.enable(&[&read("../x"), "filesystem+network"]).unwrap();
    assert_eq!(bench.grants(), ["network=a:1".to_owned(), read(&x)]);
}

#[test]
fn what_was_granted_can_be_taken_back() {
    let bench = bench();
    let (x, inner, y) = (bench.made("x"), bench.made("x/inner"), bench.made("y"));
    let path = bench.built("1.0.0", r#","permissions":["filesystem=read:*","task_read"],"hooks":["pre-command"]"#);
    bench.install(&path, &["--yes", &read(&x), &read(&inner), &read(&y)]).unwrap();
    let error = bench.revoke(&[&read("/srv")]).unwrap_err();
    assert_eq!(error.code(), Code::ValueInvalid);
    assert!(error.help().unwrap().contains(&read(&y)), "{:?}", error.help());
    // With a directory goes what is below; the plugin does without.
    let report = bench.revoke(&[&read("../x")]).unwrap();
    assert_eq!((report.status, report.revoked), (Status::Enabled, vec![read(&x), read(&inner)]));
    assert_eq!(bench.grants(), ["task_read".to_owned(), read(&y)]);
    // It may be gone by now.
    fs::remove_dir(&y).unwrap();
    bench.revoke(&[&read(&y)]).unwrap();
    assert_eq!(code(bench.revoke(&["task_read", "network"])), Code::ValueInvalid);
    assert_eq!(bench.grants(), ["task_read"], "all or nothing");
    // Without what it needs it waits for consent.
    let report = bench.revoke(&["hook"]).unwrap();
    assert_eq!((report.status, report.missing.len()), (Status::Installed, 1));
    assert_eq!(code(bench.enable(&[])), Code::ConsentRequired);
    bench.enable(&["hook"]).unwrap();
    assert_eq!(bench.status(), Status::Enabled);
}

/// Names directories, and accepts every pair.
struct Naming(Vec<&'static str>, Vec<usize>);

impl Prompt for Naming {
    fn ask(&mut self, question: &Question<'_>) -> Option<Vec<Item>> {
        self.1.push(question.asks.len());
        let mut accepted = Vec::new();
        for ask in question.asks {
            match ask.open() {
                Some(access) => accepted.extend(self.0.iter().filter_map(|typed| question.named(access, typed).ok())),
                None => accepted.push(ask.item.clone()),
            }
        }
        Some(accepted)
    }
}

#[test]
fn a_person_is_asked_for_directories_once() {
    let bench = bench();
    let (x, y) = (bench.made("project/x"), bench.made("y"));
    let path = bench.built("1.0.0", r#","permissions":["filesystem=read:*","network=a:1"]"#);
    let request = request(&path, false);
    let mut prompt = Naming(vec!["x", "~/y", "/", "no-such"], Vec::new());
    let directories = bench.directories();
    let mut consenting = Consenting { yes: false, grants: &[], directories: &directories, prompt: &mut prompt };
    assert_eq!(install(&bench.home, &request, &mut consenting).unwrap().status, Status::Enabled);
    assert_eq!(bench.grants(), ["network=a:1".to_owned(), read(&x), read(&y)]);
    bench.revoke(&["filesystem"]).unwrap();
    let mut consenting = Consenting { yes: false, grants: &[], directories: &directories, prompt: &mut prompt };
    enable(&bench.home, &demo(), &mut consenting).unwrap();
    // First the permissions, then the pair that the directories made; later nothing.
    assert_eq!(prompt.1, [2, 1]);
    let open = Question {
        name: &demo(),
        version: &"1.0.0".parse().unwrap(),
        trust: &Trust::Unsigned,
        other_maker: None,
        description: "",
        scan: None,
        asks: &[],
        directories: &directories,
    };
    assert_eq!(code(open.named(Access::Read, "~")), Code::DirectoryRefused);
}
