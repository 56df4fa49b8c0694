//! Upper-case letters.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(name = "MyPlugin")]
impl P {}

fn main() {}
