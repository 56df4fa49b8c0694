//! The plugin on the bench.
