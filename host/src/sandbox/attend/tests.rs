//! Limits are tried on programs of the system: nothing here needs a sandbox.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Barrier;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, pipe2};

use super::*;
use crate::wire::{Layers, Rlimits};

struct Trial {
    child: Child,
    watched: Arc<Watched>,
    /// The other end of the program's standard error.
    err: File,
}

impl Trial {
    fn new(script: &str, sink: StraySink) -> Self {
        let child = Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap();
        let pidfd = sys::process::pidfd_of(i32::try_from(child.id()).unwrap()).unwrap();
        let pipe = || {
            let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).unwrap();
            fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
            (File::from(ours), File::from(theirs))
        };
        let ((out, _), (ours, err)) = (pipe(), pipe());
        let spec = WorkerSpec { rlimits: Rlimits::NATIVE, receives_descriptors: false, reads_input: false };
        Self { child, watched: Arc::new(Watched::new(pidfd, out, ours, sink, &spec, Layers::ALL)), err }
    }

    fn print(&mut self, kib: usize) {
        for _ in 0..kib {
            // Above the cap nobody reads any more.
            let _ = self.err.write_all(&[b'x'; 1024]);
            self.watched.drain();
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // The group, and before its leader is collected: once that was killed, no list tells who was below it.
        let _ = killpg(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn start() -> Attendant {
    let shared = (Arc::new(Groups::new()), Starter::default());
    Attendant::start(File::open("/dev/null").unwrap().into(), shared, || None).unwrap()
}

fn quiet() -> StraySink {
    Arc::new(|_| {})
}

/// A call without a wall clock.
fn endless() -> CallLimits {
    CallLimits { wall: None, ..CallLimits::default() }
}

fn limits(wall: u64, cpu: u64) -> CallLimits {
    CallLimits { wall: Some(Duration::from_millis(wall)), cpu: Duration::from_millis(cpu), ..CallLimits::default() }
}

#[test]
fn a_reader_that_waits_is_not_the_plugins_time() {
    let trial = Trial::new("sleep 60", quiet());
    trial.watched.arm(1, &limits(100, 10_000));
    trial.watched.write(|| {
        std::thread::sleep(Duration::from_millis(300));
        assert!(trial.watched.look());
    });
    assert!(trial.watched.look());
    assert_eq!(trial.watched.cause(), None);
    std::thread::sleep(Duration::from_millis(150));
    trial.watched.look();
    assert_eq!(trial.watched.cause(), Some(Death::Time(Duration::from_millis(100))));
}

// A flood of output must not make a call longer.
#[test]
fn quick_writes_move_no_deadline() {
    let trial = Trial::new("sleep 60", quiet());
    trial.watched.arm(1, &limits(1000, 10_000));
    let before = trial.watched.deadline.load(Ordering::SeqCst);
    let mut slow = 0;
    for _ in 0..1000 {
        let began = Instant::now();
        trial.watched.write(|| ());
        let took = began.elapsed();
        // The machine may be busy with something else just now.
        slow += if took < SLOW_WRITE { 0 } else { u64::try_from(took.as_nanos()).unwrap() };
    }
    assert!(trial.watched.deadline.load(Ordering::SeqCst) - before <= slow);
    trial.watched.disarm();
    trial.watched.write(|| std::thread::sleep(SLOW_WRITE * 2));
    assert_eq!(trial.watched.deadline.load(Ordering::SeqCst), 0, "no call runs");
}

#[test]
fn stray_output_is_counted_per_call() {
    let mut trial = Trial::new("sleep 60", quiet());
    for call in 1..=3 {
        trial.watched.arm(call, &limits(10_000, 10_000));
        trial.print(700);
        trial.watched.disarm();
    }
    assert_eq!(trial.watched.cause(), None);
    trial.print(400);
    assert_eq!(trial.watched.cause(), Some(Death::Output(Limits::NATIVE.output)));
}

// A70
#[test]
fn a_blocked_sink_holds_up_no_deadline() {
    let barrier = Arc::new(Barrier::new(2));
    let inner = Arc::clone(&barrier);
    let mut trial = Trial::new(
        "sleep 60",
        Arc::new(move |_| {
            inner.wait();
        }),
    );
    let attendant = start();
    attendant.add(&trial.watched).unwrap();
    trial.err.write_all(b"blocks").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    trial.watched.arm(1, &limits(100, 10_000));
    attendant.nudge();
    assert!(trial.watched.gone_within(Duration::from_secs(5)), "the deadline waited for the sink");
    barrier.wait();
}

// A60: a plugin's threads outlive its calls.
#[test]
fn a_worker_that_spins_between_calls_is_ended() {
    let trial = Trial::new("while :; do :; done", quiet());
    let attendant = start();
    attendant.add(&trial.watched).unwrap();
    trial.watched.arm(1, &limits(10_000, 100));
    trial.watched.disarm();
    assert!(trial.watched.gone_within(Duration::from_secs(20)));
    assert_eq!(trial.watched.cause(), Some(Death::Cpu(Duration::from_millis(100))));
}

// A57: pages made read-only again leave RLIMIT_DATA, but not the machine.
#[test]
fn resident_memory_is_limited() {
    let mut trial = Trial::new("sleep 60", quiet());
    trial.watched.look();
    assert_eq!(trial.watched.cause(), None);
    Arc::get_mut(&mut trial.watched).unwrap().memory = Some((1, 64 << 20));
    trial.watched.arm(1, &limits(10_000, 10_000));
    trial.watched.look();
    assert_eq!(trial.watched.cause(), Some(Death::Memory(64 << 20)));
}

#[test]
fn a_call_without_a_limit_ends_only_by_an_interrupt() {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    let trial = Trial::new("sleep 60", quiet());
    trial.watched.arm(1, &CallLimits { interrupted: Some(&INTERRUPTED), ..endless() });
    trial.watched.write(|| std::thread::sleep(SLOW_WRITE * 2));
    assert!(trial.watched.look());
    assert_eq!((trial.watched.deadline.load(Ordering::SeqCst), trial.watched.cause()), (u64::MAX, None));
    trial.watched.disarm();
    INTERRUPTED.store(true, Ordering::SeqCst);
    assert!(!trial.watched.look());
    assert_eq!(trial.watched.cause(), None, "no call runs");
    trial.watched.arm(2, &endless());
    assert!(trial.watched.look());
    assert_eq!(trial.watched.cause(), Some(Death::Interrupted));
}

// A command that follows a log for hours uses more than a call's CPU time in the end.
#[test]
fn cpu_time_is_counted_anew_in_each_window_of_a_call() {
    let trial = Trial::new("while :; do :; done", quiet());
    let limit = Duration::from_millis(200);
    let busy = || sys::clock::cpu_time(trial.watched.pid().unwrap()).unwrap();
    let look_after = |used: Duration| {
        let before = busy();
        while busy() - before < used {
            std::thread::sleep(Duration::from_millis(5));
        }
        trial.watched.look()
    };
    trial.watched.arm(1, &CallLimits { cpu: limit, ..endless() });
    trial.watched.look();
    for _ in 0..3 {
        locked(&trial.watched.used).begin_anew();
        look_after(limit);
        assert_eq!(trial.watched.cause(), None);
    }
    look_after(limit);
    assert_eq!(trial.watched.cause(), Some(Death::Cpu(limit)));
}

/// One with processes below it, which counts them or not.
fn family(script: &str, has_family: bool) -> Trial {
    let mut trial = Trial::new(script, quiet());
    Arc::get_mut(&mut trial.watched).unwrap().has_family = has_family;
    trial
}

/// What all processes have used.
fn used(trial: &Trial) -> Duration {
    Tally::default().look(&family::members(trial.watched.pid().unwrap())).unwrap()
}

// A58: what a worker starts is counted with it.
#[test]
fn all_processes_count_where_there_may_be_some() {
    for has_family in [false, true] {
        let trial = family("sh -c 'while :; do :; done' & wait", has_family);
        let limit = Duration::from_millis(200);
        trial.watched.arm(1, &CallLimits { cpu: limit, ..endless() });
        trial.watched.look();
        let before = used(&trial);
        while used(&trial) < before + limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        trial.watched.look();
        assert_eq!(trial.watched.cause(), has_family.then_some(Death::Cpu(limit)));
    }
}

#[test]
fn what_a_call_left_behind_is_not_let_burn() {
    for has_family in [false, true] {
        let trial = family("sh -c 'while :; do :; done' & wait", has_family);
        let limit = Duration::from_millis(200);
        // Each call begins the count of its own anew.
        for call in 1..=100 {
            trial.watched.arm(call, &CallLimits { cpu: limit, ..endless() });
            trial.watched.look();
            trial.watched.disarm();
            trial.watched.look();
            let before = used(&trial);
            while used(&trial) < before + Duration::from_millis(40) {
                std::thread::sleep(Duration::from_millis(5));
            }
            trial.watched.look();
            if trial.watched.cause().is_some() {
                break;
            }
        }
        assert_eq!(trial.watched.cause(), has_family.then_some(Death::Cpu(limit)));
    }
}

#[test]
fn usage_is_of_all_processes() {
    let spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let trial = family(&format!("sh -c '{spin}'; (while :; do :; done) & wait"), true);
    let twenty = Duration::from_millis(20);
    while trial.watched.cpu_time(false).unwrap() < twenty {
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = trial.watched.cpu_time(false).unwrap();
    while trial.watched.cpu_time(true).unwrap() < before + twenty {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(sys::clock::cpu_time(trial.watched.pid().unwrap()).unwrap() < twenty);
    assert!(trial.watched.peak_kib(true) > 500);
    trial.watched.kill(None);
    assert!(trial.watched.seen_cpu_time() >= before + twenty);
}

// A58: the kernel ends one process of a group, and the others go on.
#[test]
fn a_group_that_ran_out_of_memory_ends_with_all_that_is_left() {
    let groups = Groups::new();
    let limit = Rlimits { data: 8 << 20, ..Rlimits::NATIVE };
    let Some(group) = groups.take(&limit) else {
        assert!(!nix::unistd::geteuid().is_root(), "root can make groups");
        eprintln!("SKIPPED: control groups: this user may make none");
        return;
    };
    // It waits until it was moved into the group.
    let joined = "until grep -q migraine- /proc/self/cgroup; do sleep 0.01; done";
    let mut trial = Trial::new(&format!("{joined}; head -c 64M /dev/zero | tail; exec sleep 60"), quiet());
    let watched = Arc::get_mut(&mut trial.watched).unwrap();
    watched.events = Some(group.memory_events());
    trial.watched.arm(1, &endless());
    trial.watched.look();
    assert_eq!(trial.watched.cause(), None);
    for door in group.doors() {
        File::from(door.try_clone_to_owned().unwrap()).write_all(trial.child.id().to_string().as_bytes()).unwrap();
    }
    let began = Instant::now();
    while trial.watched.cause().is_none() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(TICK);
        trial.watched.look();
    }
    assert_eq!(trial.watched.cause(), Some(Death::Memory(Rlimits::NATIVE.data)));
}

#[test]
fn a_program_ends_with_the_worker_that_asked_for_it() {
    let (caller, trial) = (Trial::new("sleep 60", quiet()), Trial::new("sleep 60", quiet()));
    trial.watched.run_for(&caller.watched);
    trial.watched.arm(1, &endless());
    trial.watched.look();
    assert_eq!(trial.watched.cause(), None);
    caller.watched.kill(None);
    assert!(caller.watched.gone_within(Duration::from_secs(20)));
    trial.watched.look();
    assert_eq!(trial.watched.cause(), Some(Death::Interrupted));
}
