//! Real groups need a place that this user may write to: root here, or somebody with a delegated part of the tree.

use std::process::Command;

use super::*;

#[test]
fn names_say_whose_they_are() {
    let this = Owner::this().unwrap();
    assert_eq!(Owner::of(&this.name()), Some(this.clone()));
    assert!(!this.is_gone(&this));
    assert!(Owner { started: this.started + 1, ..this.clone() }.is_gone(&this), "the number was given anew");
    assert!(!Owner { namespace: 1, started: 0, ..this.clone() }.is_gone(&this), "another namespace");
    for name in ["migraine-1-2", "migraine-1-2-x-4", "other-1-2-3-4", "migraine-1-99999999999-3-4"] {
        assert_eq!(Owner::of(name), None, "{name}");
    }
}

#[test]
fn counts_are_found_by_their_whole_name() {
    let text = "oom_kill_disable 7\nunder_oom 0\noom_kill 3\n";
    assert_eq!((counted(text, "oom_kill"), counted(text, "oom")), (Some(3), None));
}

/// The place of this machine's groups, or a loud skip.
fn place(groups: &Groups) -> Option<Place> {
    groups.limited_by();
    match &*locked(&groups.state) {
        State::Available { place, .. } => Some(place.clone()),
        _ => {
            assert!(!nix::unistd::geteuid().is_root(), "root can make groups");
            eprintln!("SKIPPED: control groups: this user may make none");
            None
        }
    }
}

fn owned(place: &Place, owner: &Owner) -> usize {
    let is_its = |path: &PathBuf| path.file_name().and_then(|name| Owner::of(name.to_str()?)).as_ref() == Some(owner);
    place.parents.iter().flat_map(|parent| groups_in(parent)).filter(is_its).count()
}

/// As after SIGKILL: nobody removes it but somebody who collects, which a test beside this one may be.
fn abandon(place: &Place, owner: &Owner) {
    let name = owner.name();
    place.parents.iter().for_each(|parent| fs::create_dir(parent.join(&name)).unwrap());
}

#[test]
fn a_group_that_was_made_ahead_takes_other_limits() {
    let groups = Groups::new();
    if place(&groups).is_none() {
        return;
    }
    for data in [Rlimits::NATIVE.data * 4, Rlimits::NATIVE.data / 2] {
        groups.prepare();
        let spare = match &*locked(&groups.state) {
            State::Available { ready: Some(spare), .. } => spare.directories.clone(),
            _ => panic!("none was made ahead"),
        };
        let group = groups.take(&Rlimits { data, ..Rlimits::NATIVE }).unwrap();
        assert_eq!(group.directories, spare);
        let limit = |file: &str| fs::read_to_string(group.path(file)).ok().map(|text| text.trim().to_owned());
        let [memory, swap] = group.version.memory();
        assert_eq!(limit(memory), Some(data.to_string()));
        assert!(group.version == Version::V2 || limit(swap).is_none_or(|swap| swap == data.to_string()));
    }
}

#[test]
fn groups_limit_and_go_away() {
    let groups = Groups::new();
    let Some(place) = place(&groups) else { return };
    let group = groups.take(&Rlimits { data: 8 << 20, threads: 3, ..Rlimits::NATIVE }).unwrap();
    let read = |file: &str| fs::read_to_string(group.path(file)).unwrap().trim().to_owned();
    assert_eq!((read(group.version.memory()[0]), read("pids.max")), ((8 << 20).to_string(), "3".to_owned()));
    let directories = group.directories.clone();
    assert!(!group.ran_out_of_memory() && group.refused_processes() == 0);

    // A shell that joins, as a worker does, then takes more than there is, then more processes than there may be.
    let doors = directories.iter().map(|path| path.join(place.version.door()));
    let join: String = doors.map(|door| format!("echo 0 > {}; ", door.display())).collect();
    let run = |script: &str| Command::new("sh").args(["-c", &format!("{join}{script}")]).status().unwrap();
    run("head -c 64M /dev/zero | tail");
    assert!(group.ran_out_of_memory());
    run("sleep 0.1 & sleep 0.1 & sleep 0.1 & sleep 0.1 & wait");
    assert!(group.refused_processes() > 0);

    drop(group);
    // What the shell had started before it failed ends by itself.
    while directories.iter().any(|directory| directory.exists()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
        groups.sweep();
    }
}

#[test]
fn groups_of_programs_that_are_gone_are_collected() {
    let groups = Groups::new();
    let Some(place) = place(&groups) else { return };
    let this = Owner::this().unwrap();
    let gone = Owner { started: 1, ..this.clone() };
    let elsewhere = Owner { namespace: 1, started: 1, ..this.clone() };
    for owner in [&gone, &elsewhere] {
        abandon(&place, owner);
    }
    collect_stale(&place, &this);
    assert_eq!((owned(&place, &gone), owned(&place, &elsewhere)), (0, place.parents.len()));
    // What this namespace cannot judge is left to its own.
    for parent in &place.parents {
        for entry in fs::read_dir(parent).unwrap().flatten() {
            if entry.file_name().to_str().and_then(Owner::of).as_ref() == Some(&elsewhere) {
                fs::remove_dir(entry.path()).unwrap();
            }
        }
    }
}

// Each login has a group of its own; who killed a program may sit in another.
#[test]
fn groups_beside_the_own_one_are_collected() {
    let groups = Groups::new();
    let Some(Place { version, parents }) = place(&groups) else { return };
    let this = Owner::this().unwrap();
    let login = |name: &str| {
        let parents: Vec<_> =
            parents.iter().map(|parent| parent.join(format!("login-{name}-{}", this.name()))).collect();
        parents.iter().for_each(|parent| fs::create_dir(parent).unwrap());
        Place { version, parents }
    };
    let (own, other) = (login("own"), login("other"));
    let gone = Owner { started: 1, ..this.clone() };
    abandon(&other, &gone);
    collect_beside(&own, &this);
    let left = owned(&other, &gone);
    other.parents.iter().chain(&own.parents).for_each(|parent| fs::remove_dir(parent).unwrap());
    assert_eq!(left, 0);
}

#[test]
fn a_busy_group_is_removed_later() {
    let groups = Groups::new();
    if place(&groups).is_none() {
        return;
    }
    let group = groups.take(&Rlimits::NATIVE).unwrap();
    let directories = group.directories.clone();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    for mut door in &group.doors {
        door.write_all(child.id().to_string().as_bytes()).unwrap();
    }
    drop(group);
    assert!(directories.iter().all(|directory| directory.exists()));
    child.kill().unwrap();
    child.wait().unwrap();
    drop(groups);
    assert!(directories.iter().all(|directory| !directory.exists()));
}

fn group_in(directory: &Path, version: Version) -> Group {
    let door = OpenOptions::new().write(true).open(directory.join(version.door())).unwrap();
    let directories = vec![directory.to_owned()];
    Group { version, limits: Rlimits::NATIVE, directories, doors: vec![door], left: Left::default() }
}

#[test]
fn version_2_has_files_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    for name in ["cgroup.procs", "memory.max", "memory.swap.max", "pids.max"] {
        write(name, "");
    }
    let limits = Rlimits { data: 256 << 20, threads: 32, ..Rlimits::NATIVE };
    let group = group_in(folder.path(), Version::V2).limit(&limits).unwrap();
    for (name, value) in [("memory.max", "268435456"), ("memory.swap.max", "0"), ("pids.max", "32")] {
        assert_eq!(fs::read_to_string(path(name)).unwrap(), value, "{name}");
    }
    // As the kernel writes them: a group that was ended as a whole counts its processes as well.
    let events =
        |killed| format!("low 0\nhigh 0\nmax 431\noom 3\noom_kill {killed}\noom_group_kill 0\nsock_throttled 0\n");
    write("memory.events", &events(0));
    write("pids.events", "max 0\n");
    assert!(!group.ran_out_of_memory() && group.refused_processes() == 0);
    write("memory.events", &events(2));
    write("pids.events", "max 7\n");
    assert!(group.ran_out_of_memory() && group.refused_processes() == 7);
    // Swap and processes may be counted nowhere; memory must be.
    let remade = |gone: &str| {
        fs::remove_file(path(gone)).unwrap();
        group_in(folder.path(), Version::V2).limit(&limits)
    };
    assert!(remade("memory.swap.max").is_ok() && remade("pids.max").is_ok());
    assert_eq!(remade("memory.max").err().unwrap().kind(), io::ErrorKind::NotFound);
}

// Beside version 1, version 2 often has no controllers: the rest of it is real there all the same.
#[test]
fn a_process_joins_a_group_of_version_2_from_a_namespace_of_its_own() {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let found = place::own_group(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), "cgroup2", "");
    let Some((_, own)) = found.filter(|_| nix::unistd::geteuid().is_root()) else {
        eprintln!("SKIPPED: groups of version 2: this is not root, or that version is mounted nowhere");
        return;
    };
    let this = Owner::this().unwrap();
    let place = Place { version: Version::V2, parents: vec![own.clone()] };
    if !read(own.join("cgroup.subtree_control").to_str().unwrap()).contains("memory") {
        // Nothing is left of what could not be limited.
        let before = owned(&place, &this);
        assert!(Group::make(&place, &this, &Rlimits::NATIVE, &Left::default()).is_err());
        assert_eq!(owned(&place, &this), before);
    }
    let directory = own.join(this.name());
    fs::create_dir(&directory).unwrap();
    let group = group_in(&directory, Version::V2);
    let door = group.doors().next().unwrap().try_clone_to_owned().unwrap();
    let joins = ["--cgroup", "sh", "-c", "echo 0; exec sleep 60"];
    let mut child = Command::new("unshare").args(joins).stdout(door).spawn().unwrap();
    let members = || fs::read_to_string(directory.join("cgroup.procs")).unwrap();
    let began = std::time::Instant::now();
    while members().trim() != child.id().to_string() && began.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let joined = members();
    let left = Arc::clone(&group.left);
    drop(group);
    assert!(locked(&left).contains(&directory), "it holds a process");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(joined.trim(), child.id().to_string());
    fs::remove_dir(directory).unwrap();
}
