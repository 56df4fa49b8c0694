//! A requirement without text.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(dependencies(" "))]
impl P {}

fn main() {}
