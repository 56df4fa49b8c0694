//! A scope where none is taken.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("task_read=all"))]
impl P {}

fn main() {}
