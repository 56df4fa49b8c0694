//! `permission` for `permissions`.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permission("task_read"), name = "p")]
impl P {}

fn main() {}
