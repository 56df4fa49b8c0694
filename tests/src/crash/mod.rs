//! Crashes on purpose: runs the product under ptrace(2), kills it before any system call that changes something on disk or
//! lets that call fail, builds what a power loss could leave, and asks an oracle each time whether that is a store that a
//! user can go on with.
//!
//! # Adding an operation
//!
//! One line in the table of [`operation`]: what prepares the home, the command line, and with which error code the same
//! command may end when it is run again after it was done. Then `MIGRAINE_CRASH_BLESS=1 cargo test -p migraine-tests --test
//! crash` writes how many points it has into `crash/points.txt`.
//!
//! # The oracle
//!
//! After each point: `list` works; every listed plugin verifies, and runs when it is enabled; the target is exactly what it was
//! before or exactly what it is after an undisturbed run; it is the latter if success was printed; the same command run again
//! succeeds, and the whole home is then what an undisturbed run leaves, byte for byte, but for random names, times and the
//! number of commits; nothing lies in `staging` and `trash`; nothing outside of the home changed; no lock is held and no
//! process is left.
//!
//! What a run does next depends on what lies on disk and on nothing else. So a state of the disk that was judged once is not
//! judged again, by none of the tests, and plugins are not called again for a change of what only writers look at, whatever
//! operation made it. That makes thousands of points affordable. [`power`] says what is lost with the power.

pub mod blackout;
mod dice;
pub mod injection;
pub mod operation;
mod oracle;
pub mod place;
pub mod points;
pub mod power;
mod storm;
pub mod subject;
pub mod syscall;
pub mod tracer;
mod tree;

pub use oracle::{Ended, Oracle};
pub use storm::{Interrupts, ignored, interrupts, kills};
