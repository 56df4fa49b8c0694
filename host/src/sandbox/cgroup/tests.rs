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
    groups.begin();
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
