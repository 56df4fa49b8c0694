//! A key is given twice.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(name = "a", name = "b")]
impl P {}

fn main() {}
