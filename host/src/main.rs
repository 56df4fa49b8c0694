//! The program.

fn main() -> std::process::ExitCode {
    // First: a process that was started as the launcher must never get as far as reading arguments.
    migraine_host::worker::enter();
    migraine_host::cli::main(std::env::args_os().collect())
}
