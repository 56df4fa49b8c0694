//! Rows of what a thousand installed plugins cost those who use none of them: the same command in a home without any.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use migraine_host::ids::Digest;
use migraine_host::package::{FileEntry, Index, Package, TARGET};
use migraine_host::store::Home;
use migraine_plugin_api::{API_VERSION, Manifest};

use super::product::{Place, Product, View};
use super::sandbox::packaged;
use super::{Row, Work};
use crate::project::Project;

/// How many plugins are installed.
const INSTALLED: usize = 1000;
/// The most that they may cost a run of a workflow.
const RUN_MORE: Duration = Duration::from_millis(3);

/// `migraine plugin list`.
pub(super) fn list(project: &Project) -> Result<Row> {
    let bench = Product::new(project, "store-list")?;
    let (full, empty) = (full(project, &bench)?, bench.home("empty")?);
    let line = &["plugin", "list"];
    let (ours, reference) = (full.always(line), empty.always(line));
    let about = format!("migraine plugin list with {INSTALLED} installed; reference: with none");
    let settle = super::nothing();
    Ok(Row { name: "store-list", about, ours, reference, settle, target: 3.0, rounds: 60 })
}

/// `migraine plugin install` of a plugin that is not there yet.
pub(super) fn install(project: &Project) -> Result<Row> {
    const ROUNDS: usize = 40;
    let bench = Product::new(project, "store-install")?;
    let full = full(project, &bench)?;
    // The reference cannot take back what it did: each sample has a home of its own.
    let empty = (0..2 * ROUNDS).map(|number| bench.home(&format!("empty-{number}"))).collect::<Result<Vec<_>>>()?;
    let library = packaged(project, "hello-world")?.library;
    let library = library.to_str().context("the target folder's name is not UTF-8")?.to_owned();
    let next = Rc::new(Cell::new(0));
    let (file, other) = (library.clone(), full.clone());
    let ours = Box::new(move || full.run(&["plugin", "install", &file]));
    let settle = Box::new(move || other.run(&["plugin", "uninstall", "hello-world"]));
    let reference = Box::new(move || {
        let number = next.replace(next.get() + 1);
        empty.get(number).context("too few homes")?.run(&["plugin", "install", &library])
    });
    let about = format!("migraine plugin install with {INSTALLED} installed; reference: with none");
    Ok(Row { name: "store-install", about, ours, reference, settle, target: 1.5, rounds: ROUNDS })
}

/// `migraine run`, where no plugin is subscribed.
pub(super) fn run(project: &Project) -> Result<Row> {
    let bench = Product::new(project, "store-run")?;
    let (full, empty) = (full(project, &bench)?, bench.home("empty")?);
    let line = ["run", &workflow(&bench)?];
    let (ours, reference) = (full.always(&line), and_more(empty.always(&line)));
    let about = format!("migraine run with {INSTALLED} installed, none subscribed; reference: with none, and 3 ms");
    let settle = super::nothing();
    Ok(Row { name: "store-run", about, ours, reference, settle, target: 1.0, rounds: 60 })
}

/// The same with the plugins in the system store, of which each user has some.
pub(super) fn system_run(project: &Project) -> Result<Row> {
    let bench = Product::new(project, "store-system-run")?;
    let line = ["run".to_owned(), workflow(&bench)?];
    let home = bench.home("home")?;
    let [full, empty] = ["full", "empty"].map(|name| {
        let lib = bench.folder.join(name);
        std::fs::create_dir(&lib)?;
        View::of_lib(&lib)
    });
    let (full, empty, place) = (full?, empty?, home.clone());
    let library = packaged(project, "hello-world")?.library;
    let library = library.to_str().context("the target folder's name is not UTF-8")?.to_owned();
    full.run(move || {
        place.trust(&["--system"])?;
        place.run(&["plugin", "install", &library, "--yes", "--system"])?;
        fill(&Home::open_system()?)?;
        place.run(&["plugin", "uninstall", "hello-world", "--system"])
    })?;
    let run = |view: View| {
        let (home, line) = (home.clone(), line.clone());
        move || {
            let (home, line) = (home.clone(), line.clone());
            view.run(move || home.run(&line.each_ref().map(String::as_str)))
        }
    };
    let about = format!("migraine run with {INSTALLED} in the system store; reference: with none, and 3 ms");
    let (ours, reference, settle) = (Box::new(run(full)), and_more(run(empty)), super::nothing());
    Ok(Row { name: "store-system-run", about, ours, reference, settle, target: 1.0, rounds: 60 })
}

/// A workflow that no plugin has a part in.
fn workflow(bench: &Product) -> Result<String> {
    let path = bench.folder.join("w.yaml");
    std::fs::write(&path, "name: w\nsteps: [{command: 'true'}]\n")?;
    Ok(path.to_str().context("the target folder's name is not UTF-8")?.to_owned())
}

/// The time of some work, and what a thousand plugins may cost on top.
fn and_more(mut work: impl FnMut() -> Result<()> + 'static) -> Work {
    Box::new(move || {
        let start = Instant::now();
        work()?;
        // Sleeping would take longer than that.
        let end = start.elapsed() + RUN_MORE;
        while start.elapsed() < end {
            std::hint::spin_loop();
        }
        Ok(())
    })
}

/// A home with everything installed, each plugin with the entry of a real one.
fn full(project: &Project, product: &Product) -> Result<Place> {
    let place = product.home("full")?;
    place.install(project, "hello-world")?;
    fill(&Home::open(&place.home)?)?;
    place.run(&["plugin", "uninstall", "hello-world"])?;
    Ok(place)
}

/// Installs a thousand plugins beside the only one that is there, each with the entry of that one.
fn fill(home: &Home) -> Result<()> {
    let mut writer = home.writer()?;
    let (_, entry) = writer.state().plugins.iter()?.next().context("nothing is installed")?;
    let entry = entry.clone();
    for number in 0..INSTALLED {
        let package = stub(&format!("plugin-{number}"))?;
        writer.add_tree(&package)?;
        let mut entry = entry.clone();
        entry.digest = package.digest;
        writer.state_mut().plugins.insert(package.index.name, entry);
    }
    Ok(writer.commit()?)
}

/// A package that nobody runs.
fn stub(name: &str) -> Result<Package> {
    let content = name.as_bytes().to_vec();
    let file = FileEntry::of("lib.so", 0o644, &content);
    let index = Index {
        name: name.parse()?,
        version: "1.0.0".parse()?,
        api: API_VERSION,
        created: "2026-01-02T03:04:05Z".to_owned(),
        entry: "lib.so".to_owned(),
        target: TARGET.to_owned(),
        others: Vec::new(),
        permissions: Vec::new(),
        dependencies: Vec::new(),
        files: vec![file.clone()],
    };
    let index_text = index.render().into_bytes();
    let (digest, manifest) = (Digest::of(&index_text), Manifest::new(name, "1.0.0"));
    Ok(Package {
        digest,
        index,
        index_text,
        signature: None,
        manifest,
        files: vec![(file, content)],
        others: Vec::new(),
        elf: None,
    })
}
