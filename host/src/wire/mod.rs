//! What travels between host, launcher and worker: frames over any reader and writer, and the messages in them.
//!
//! Host and worker are the same program, so nothing here needs compatibility. Everything from a worker is hostile input:
//! sizes are capped before anything is allocated, and an unknown tag is an error.
#![forbid(unsafe_code)]

mod control;
mod frame;
mod limits;
mod message;
mod program;
mod recorded;

pub use control::{
    CONTROL_MAX, DIRECTORIES_MAX, Directory, Ended, FailedStep, FromLauncher, LAUNCHER_ARGUMENT, LAUNCHER_SPEC_MAX,
    LauncherSpec, Layers, Level, LoadBy, PROXY_PORT, Refused, ToLauncher, WorkerSpec,
};
pub use frame::{BODY_MAX, Frame, FrameReader, Header, Kind, OwnedFrame, RAW_MAX, WireError, write_frame};
pub use limits::{CPU_WINDOW, ConnectionLimits, Limits, Rlimits, WALL, WALL_SECONDS};
pub use message::{Layer, LoadBody, LoadFailure, LoadedBody, Probe, SealReport, Variable};
pub use program::{PROGRAMS_MAX, Programs, RanBody, RunBody};
pub use recorded::{FileUse, PathArgument, recorded_paths};
