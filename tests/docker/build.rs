//! `docker-build-image`: from granted directories, and from no other.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use migraine_tests::docker::Cleared;
use serde_json::json;

use crate::manager::each_user;

#[test]
fn an_image_of_a_granted_directory_runs() {
    each_user(|manager| {
        let (daemon, name, work) = (manager.daemon, manager.name("built"), manager.home.work());
        let (tag, port) = (format!("{name}:1"), manager.port(18010));
        let _cleared = Cleared::new(daemon, &[&name]);
        daemon.put_web(&work);
        let done = manager.run(&["docker-build-image", "--file", "Dockerfile", "--tag", &tag]);
        done.ends(0).says(&["Step 1/3 : FROM scratch", &format!("Successfully tagged {tag}")]);
        assert_eq!(daemon.inspect(&tag)["Config"]["Cmd"], json!(["/web"]));
        daemon.client(&["run", "--detach", "--name", &name, "--publish", &format!("{port}:80"), &tag]);
        assert_eq!(daemon.get(port.parse().unwrap()), "hello from the container\n");
    });
}

#[test]
fn the_context_is_what_docker_would_send() {
    each_user(|manager| {
        let (daemon, name, home) = (manager.daemon, manager.name("context"), &manager.home);
        let _cleared = Cleared::new(daemon, &[&name]);
        for file in ["app/deep/secret.key", "app/public.key", "app/deep/data"] {
            home.write(file, file);
        }
        let app = home.work().join("app");
        symlink("deep/data", app.join("link")).unwrap();
        fs::set_permissions(app.join("deep/data"), fs::Permissions::from_mode(0o640)).unwrap();
        File::create(app.join("large.bin")).and_then(|file| file.set_len(1 << 40)).unwrap();
        // From outside of the context, in a granted directory.
        home.write("Outside", "FROM scratch\nCOPY . /all/\nCMD [\"/none\"]\n");
        home.write("app/.dockerignore", "# kept at home\n**/*.key\n!public.key\nlarge.bin\n");
        let tag = format!("{name}:1");
        manager.run(&["docker-build-image", "--file", "Outside", "--tag", &tag, "app"]).ends(0);
        daemon.client(&["create", "--name", &name, &tag]);
        let copy = tempfile::tempdir().unwrap();
        daemon.client(&["cp", &format!("{name}:/all"), copy.path().to_str().unwrap()]);
        let all = copy.path().join("all");
        let mut names: Vec<_> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".dockerignore", "deep", "link", "public.key"]);
        assert_eq!(fs::read_to_string(all.join("public.key")).unwrap(), "app/public.key");
        assert_eq!(fs::read_link(all.join("link")).unwrap(), Path::new("deep/data"));
        let deep: Vec<_> = fs::read_dir(all.join("deep")).unwrap().map(|entry| entry.unwrap()).collect();
        let [data] = deep.as_slice() else { panic!("{deep:?}") };
        assert_eq!((data.file_name().to_str(), data.metadata().unwrap().mode() & 0o7777), (Some("data"), 0o640));
    });
}

#[test]
fn a_context_is_never_whole_in_memory() {
    each_user(|manager| {
        let (daemon, name, home) = (manager.daemon, manager.name("large"), &manager.home);
        daemon.put_web(&home.work());
        // More than the 64 MiB that the plugin may have.
        File::create(home.work().join("large.bin")).and_then(|file| file.set_len(80 << 20)).unwrap();
        manager.run(&["docker-build-image", "--tag", &name]).ends(0).says(&["Successfully tagged"]);
    });
}

#[test]
fn another_directory_is_refused_with_the_grant_that_helps() {
    each_user(|manager| {
        let (daemon, name) = (manager.daemon, manager.name("elsewhere"));
        // The parent of a granted directory is in the sandbox, with nothing but that directory in it.
        let elsewhere = manager.home.work().parent().unwrap().join("user/app");
        fs::create_dir(&elsewhere).unwrap();
        daemon.put_web(&elsewhere);
        let other = elsewhere.to_str().unwrap();
        for (words, directory) in [
            (&["docker-build-image", "--tag", &name, other][..], other),
            (&["docker-build-image", "--tag", &name, ".."], elsewhere.ancestors().nth(2).unwrap().to_str().unwrap()),
            (&["docker-build-image", "--tag", &name, "--file", &format!("{other}/Dockerfile")], other),
        ] {
            let done = manager.run(words);
            done.ends(6).says(&["error[permission_denied]", &format!("the directory {directory} is not granted")]);
            done.says(&[&format!("migraine plugin enable docker-manager --grant filesystem=read:{directory} ")]);
        }
        // What it says helps.
        let done = manager.run(&["docker-build-image", "--tag", &name, other]);
        let (_, help) = done.err.split_once("help: migraine ").unwrap();
        manager.home.ok(&help.split_whitespace().collect::<Vec<_>>());
        manager.run(&["docker-build-image", "--tag", &name, other]).ends(0);
        assert_eq!(daemon.inspect(&format!("{name}:latest"))["Config"]["Cmd"], json!(["/web"]));
    });
}

#[test]
fn a_build_that_fails_gives_the_daemons_reason() {
    each_user(|manager| {
        let name = manager.name("failed");
        for (dockerfile, reason) in [
            ("FROM scratch\nCOPY gone /\n", "COPY failed"),
            ("FRM scratch\n", "unknown instruction: FRM"),
            ("", "cannot be empty"),
        ] {
            manager.home.write("Dockerfile", dockerfile);
            let done = manager.run(&["docker-build-image", "--tag", &name]);
            done.ends(5).says(&["error[plugin_failed]", &format!("cannot build {name}: "), reason]);
        }
        assert_ne!(manager.daemon.try_client(&["inspect", &name]).0, 0);
    });
}
