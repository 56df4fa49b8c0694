//! The row of a command's output on its way to a hook: batches of lines, each answered before the next.

use anyhow::{Result, bail};
use migraine_host::sandbox::{CallLimits, seal_code};
use migraine_host::wire::{Kind, LauncherSpec};
use migraine_plugin_api::HookResult;

use super::sandbox::{Pipe, Silent, context, launcher, library, load, spawn};
use super::{Row, nothing};
use crate::project::Project;

/// Lines of output, and the length of each with its end, in bytes.
const LINES: usize = 1_000_000;
const LINE: usize = 80;
/// What a command's output is cut into, in bytes.
const BATCH: usize = 64 * 1024;

/// A million lines through a sealed native hook. The reference puts each line behind its length, sends them in the same batches
/// and waits for an answer to each: the floor for batched frames with a window of one.
pub(super) fn million(project: &Project) -> Result<Row> {
    let launcher = launcher(&LauncherSpec::default())?;
    let mut worker = spawn(&launcher, &seal_code(&library(project, "steady")?)?)?;
    load(&mut worker)?;
    let output = vec![b'o'; LINES * LINE];
    let mut context = context();
    context.output_size = u64::try_from(BATCH).ok();
    let limits = CallLimits::default();
    let question = serde_json::to_vec(&context)?.len();
    let mut pipe = Pipe::open(question + BATCH, 100)?;
    let line = [b'o'; LINE - size_of::<u32>()];
    let ours = move || {
        for batch in output.chunks(BATCH) {
            let body = serde_json::to_vec(&context)?;
            let reply = worker.call(Kind::Hook, &body, batch, &limits, &mut Silent)??;
            let result: HookResult = serde_json::from_slice(&reply)?;
            if !result.success {
                bail!("the hook failed");
            }
        }
        Ok(())
    };
    let reference = move || {
        (0..(LINES * LINE).div_ceil(BATCH)).try_for_each(|_| {
            for framed in pipe.question().chunks_exact_mut(LINE) {
                let (length, text) = framed.split_at_mut(size_of::<u32>());
                length.copy_from_slice(&u32::try_from(line.len())?.to_le_bytes());
                text.copy_from_slice(&line);
            }
            pipe.round()
        })
    };
    Ok(Row {
        name: "output-1m",
        about: format!("{LINES} lines of {LINE} bytes in batches of {BATCH}; reference: the same lines framed, bare"),
        ours: Box::new(ours),
        reference: Box::new(reference),
        settle: nothing(),
        target: 2.0,
        rounds: 30,
    })
}
