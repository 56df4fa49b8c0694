//! The type is not named by a path.
use migraine_plugin_api::prelude::*;

#[plugin]
impl [u8] {}

fn main() {}
