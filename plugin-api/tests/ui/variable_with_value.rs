//! A value where a name stands.
use migraine_plugin_api::prelude::*;

struct P;

#[plugin(permissions("env_vars=A=B"))]
impl P {}

fn main() {}
