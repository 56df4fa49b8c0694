//! Loses power for real: the folder lies on an ext4 of its own, which is told to drop whatever is not on its disk yet
//! (`EXT4_IOC_SHUTDOWN` without flushing the journal), and is mounted again. One file system of several, and one moment of many:
//! [`super::power`] is the test, and this shows that its idea of a disk is not made up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::injection::Job;
use super::oracle::Ended;
use super::place::{PLACE, Place, in_memory};
use super::subject::Subject;
use super::tree::Tree;
use crate::home::Done;

/// Runs a command on a new ext4, cuts it off from its disk, and copies what is there after another mount.
const SCRIPT: &str = r#"
place=$1 out=$2 delay=$3; shift 3
mkdir "$out/seed" "$out/left"; cp -a "$place/." "$out/seed/"
truncate -s 96M "$out/image"; mkfs.ext4 -q -F -m 0 "$out/image"
mount -o loop "$out/image" "$place"
rmdir "$place/lost+found"; cp -a "$out/seed/." "$place/"; sync -f "$place"
cd "$place/work"; begin=$(date +%s%N)
"$@" > "$out/all" 2> "$out/err" < /dev/null & pid=$!
if [ "$delay" = end ]; then wait $pid || true; else sleep "$delay"; fi
cp "$out/all" "$out/said"; echo $(($(date +%s%N) - begin)) > "$out/took"
python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))' "$place"
wait $pid || true
cd /
tries=0; until umount "$place"; do tries=$((tries + 1)); [ $tries -lt 50 ]; sleep 0.1; done
mount -o loop "$out/image" "$place"
cp -a "$place/." "$out/left/"; umount "$place"
"#;

/// When the power goes.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// Right after the run ended.
    End,
    /// So long after it began, whatever it does then.
    After(Duration),
}

/// What a real disk held afterwards.
struct Left {
    out: TempDir,
    /// What was printed before the power went.
    said: String,
    /// How long the command ran before.
    took: Duration,
}

impl Left {
    fn path(&self) -> PathBuf {
        self.out.path().join("left")
    }
}

/// Whether this machine can do it, and its ext4 forgets what was not synced and nothing else.
///
/// # Errors
/// What it cannot do, in words.
pub fn check() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("only root can mount".to_owned());
    }
    let place = Place::new(crate::run::User::Root);
    let line = "echo kept > kept; sync kept; sync .; echo lost > lost";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]);
    let left = cut_off(&place, &command, &[], Moment::End)?;
    let is_there = |name: &str| left.path().join("work").join(name).exists();
    match (is_there("kept"), is_there("lost")) {
        (true, false) => Ok(()),
        kept => Err(format!("of a file that was synced and one that was not, there are {kept:?}")),
    }
}

/// A library that makes a program forget to sync.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn careless(folder: &Path) -> PathBuf {
    let source =
        "int fsync(int fd) { return 0; }\nint fdatasync(int fd) { return 0; }\nint syncfs(int fd) { return 0; }\n";
    let (input, output) = (folder.join("careless.c"), folder.join("careless.so"));
    fs::write(&input, source).expect("write a file");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("set a mode");
    let mut gcc = Command::new("gcc");
    assert!(gcc.args(["-shared", "-fPIC", "-o"]).arg(&output).arg(input).status().is_ok_and(|status| status.success()));
    output
}

/// Runs an operation until the power goes, with a library that is loaded into it where one is given, and judges the disk; gives
/// how long it ran.
///
/// # Errors
/// What does not hold, or what this machine cannot do.
pub fn blackout((operation, user): Job, moment: Moment, library: Option<&Path>) -> Result<Duration, String> {
    let subject = Subject::of(operation, user);
    let place = subject.place();
    let preload = library.map(|library| format!("LD_PRELOAD={}", library.display()));
    let left = cut_off(&place, &place.product(subject.oracle.words()), preload.as_slice(), moment)?;
    let tree = Tree::read(&left.path());
    let ended = Ended { code: None, out: &left.said };
    let judged = subject.oracle.judge_disk(&tree, &ended, || Place::holding(&tree, user));
    judged.map(|()| left.took).map_err(|fault| format!("{}: {moment:?}: {fault}", operation.name))
}

/// Runs a command in the working directory of a place that lies on an ext4, until the power goes.
fn cut_off(place: &Place, command: &Command, variables: &[String], moment: Moment) -> Result<Left, String> {
    let out = in_memory();
    let delay = match moment {
        Moment::End => "end".to_owned(),
        Moment::After(delay) => format!("{:.3}", delay.as_secs_f64()),
    };
    let mut whole = Command::new("unshare");
    whole.args(["--mount", "--propagation", "private", "sh", "-ec", SCRIPT, PLACE]);
    whole.arg(place.path()).arg(out.path()).arg(delay).arg("env").args(variables);
    whole.arg(command.get_program()).args(command.get_args());
    whole.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    whole.env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin").current_dir("/");
    let done = Done::of(&mut whole);
    if done.code != 0 {
        return Err(format!("cannot take an ext4 its power: {}", done.err.trim()));
    }
    let read = |name: &str| fs::read_to_string(out.path().join(name)).map_err(|error| error.to_string());
    let (said, took) = (read("said")?, read("took")?.trim().parse::<u64>().map_err(|error| error.to_string())?);
    Ok(Left { out, said, took: Duration::from_nanos(took) })
}
