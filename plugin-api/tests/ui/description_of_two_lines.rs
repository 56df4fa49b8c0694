//! A line break in the description.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(description = "one\ntwo")]
impl P {}

fn main() {}
