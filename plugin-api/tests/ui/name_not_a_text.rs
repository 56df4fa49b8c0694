//! A name is a text.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(name = 3)]
impl P {}

fn main() {}
