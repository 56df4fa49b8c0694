//! A scope without text.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("network="))]
impl P {}

fn main() {}
