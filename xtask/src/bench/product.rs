//! The program as users run it, and homes for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context as _, Result, bail};
use migraine_host::trust::SecretKey;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::Work;
use super::sandbox::packaged;
use crate::cmd;
use crate::project::Project;

/// A program built for speed, and a folder for homes.
pub(super) struct Product {
    program: PathBuf,
    pub(super) folder: PathBuf,
}

/// A home, and the program that is run in it.
#[derive(Clone)]
pub(super) struct Place {
    program: PathBuf,
    pub(super) home: PathBuf,
}

impl Product {
    /// Builds the program, and empties the folder of that name.
    pub(super) fn new(project: &Project, name: &str) -> Result<Self> {
        let mut build = cmd::cargo();
        build.args(["build", "--quiet", "--locked", "--release", "-p", "migraine-host"]);
        cmd::run(build.current_dir(&project.root))?;
        let folder = project.target.join("bench").join(name);
        if folder.exists() {
            // Trees are frozen.
            cmd::run(Command::new("chmod").args(["-R", "u+w"]).arg(&folder))?;
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self { program: project.target.join("release/migraine"), folder })
    }

    /// A home that trusts the key of the benches.
    pub(super) fn home(&self, name: &str) -> Result<Place> {
        let place = Place { program: self.program.clone(), home: self.folder.join(name) };
        place.trust(&[])?;
        Ok(place)
    }
}

impl Place {
    /// A line, not run yet.
    pub(super) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line).env("MIGRAINE_HOME", &self.home).current_dir("/").stdin(Stdio::null());
        command
    }

    /// Trusts the key of the benches.
    pub(super) fn trust(&self, more: &[&str]) -> Result<()> {
        let key = SecretKey::from_seed(&[1; 32]).public().to_string();
        self.run(&[&["key", "trust", &key, "--scope", "*"], more].concat())
    }

    pub(super) fn run(&self, line: &[&str]) -> Result<()> {
        let output = self.command(line).output()?;
        if !output.status.success() {
            bail!("{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// The same line each time.
    pub(super) fn always(&self, line: &[&str]) -> Work {
        let (place, line) = (self.clone(), line.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        Box::new(move || place.run(&line.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// Installs a plugin of the project, with all that it asks for.
    pub(super) fn install(&self, project: &Project, plugin: &str) -> Result<()> {
        let library = packaged(project, plugin)?.library;
        let library = library.to_str().context("the target folder's name is not UTF-8")?;
        self.run(&["plugin", "install", library, "--yes"])
    }
}

type Job = Box<dyn FnOnce() -> Result<()> + Send>;

/// A thread with a view of the file system of its own, which programs that it starts have as well.
pub(super) struct View {
    jobs: Sender<Job>,
    done: Receiver<Result<()>>,
}

impl View {
    /// One that sees a folder as `/var/lib`; only root can make it.
    pub(super) fn of_lib(lib: &Path) -> Result<Self> {
        let (lib, (jobs, waiting), (tell, done)) = (lib.to_owned(), channel::<Job>(), channel());
        thread::spawn(move || {
            let mut told = tell.send(show(&lib));
            for job in waiting {
                told = told.and_then(|()| tell.send(job()));
            }
        });
        let view = Self { jobs, done };
        view.done.recv()??;
        Ok(view)
    }

    /// Waits for what is done there.
    pub(super) fn run(&self, job: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        self.jobs.send(Box::new(job)).ok().context("the thread has ended")?;
        self.done.recv()?
    }
}

fn show(lib: &Path) -> Result<()> {
    let bare = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(bare, "/", bare, MsFlags::MS_REC | MsFlags::MS_PRIVATE, bare)?;
    Ok(mount(Some(lib), "/var/lib", bare, MsFlags::MS_BIND, bare)?)
}
