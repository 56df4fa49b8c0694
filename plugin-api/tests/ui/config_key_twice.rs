//! The same key again.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(config(key = 1, key = 2))]
impl P {}

fn main() {}
