//! The network and sockets.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use migraine_tests::arena::{Arena, On};
use migraine_tests::artifacts;
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;
use migraine_tests::scene::Scene;

const EPERM: &[&str] = &["EPERM"];

#[test]
fn a041_nobody_is_reached_by_tcp() {
    check(
        41,
        &[
            Attack::new("connect-tcp", &["{tcp}"]).answer(EPERM),
            Attack::new("listen", &[]).by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a042_nobody_is_reached_by_datagrams() {
    check(
        42,
        &[
            Attack::new("udp", &["{udp}"]).answer(EPERM),
            Attack::new("icmp", &[]).root().answer(EPERM),
            Attack::new("raw-socket", &[]).root().answer(EPERM),
            Attack::new("packet-socket", &[]).root().answer(EPERM),
        ],
    );
}

#[test]
fn a046_no_local_socket_is_reached() {
    check(
        46,
        &[
            Attack::new("connect-abstract", &["{abstract}"]).answer(EPERM),
            Attack::new("connect-unix", &["{dir}/socket"]).answer(EPERM),
            Attack::new("connect-unix", &["{dir}/socket"]).reads().by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a047_no_socket_can_be_made() {
    check(47, &[Attack::new("sockets", &[]).by(Stops::Filters).answer(EPERM)]);
}

// A stream of the host stands in the machine's own network: it must stay what it is.
#[test]
fn a041_a_stream_of_the_host_leads_nowhere_else() {
    check(
        41,
        &[
            Attack::on_stream("reconnect", &["{peer}", "{tcp}"]),
            Attack::on_stream("fastopen", &["{peer}", "{tcp}"]),
            Attack::on_stream("listen", &["{peer}", "{tcp}"]),
            Attack::on_stream("send-message", &["{peer}", "{tcp}"]),
            Attack::on_stream("send-message", &["unix:{dir}/peer", "{tcp}"]),
            Attack::on_stream("out-of-band", &["{peer}", "{tcp}"]),
            Attack::on_stream("out-of-band", &["unix:{dir}/peer", "{tcp}"]),
            Attack::on_stream("peerpidfd", &["unix:{dir}/peer", "{tcp}"]),
            Attack::on_stream("bind-device", &["{peer}", "{tcp}"]),
            Attack::on_stream("attach-filter", &["{peer}", "{tcp}"]).root(),
            Attack::on_stream("attach-filter", &["unix:{dir}/peer", "{tcp}"]),
            Attack::on_stream("second-socket", &["{peer}", "{tcp}"]).by(Stops::Both),
        ],
    );
}

#[test]
fn only_a_worker_that_receives_descriptors_gets_one() {
    everywhere(|arena, user| {
        let mut scene = Scene::new(user, &[]);
        let (peer, arena) = (scene.fill("{peer}"), arena.clone().library(artifacts::library("reach")));
        let outcome = arena.run("keep", &[&peer]);
        assert!(outcome.last().ends_with("this worker cannot receive descriptors"), "{outcome:?}");
        // Nobody answers: it has a stream and waits.
        let outcome = arena.with(&["--connects", "--wall", "300"]).run("talk", &[&peer, "x"]);
        assert!(outcome.last().starts_with("limit_time: "), "{outcome:?}");
        assert_eq!(scene.touched(), None);
    });
}

// The third lock on this door.
#[test]
fn a046_landlock_alone_closes_abstract_sockets_and_tcp() {
    for &user in kernel::users() {
        let name = format!("migraine-landlock-{user:?}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let landlock = Arena::new(On::Only("landlock"), user);
        assert!(Arena::new(On::Nothing, user).run("connect-abstract", &[&name]).worked());
        assert!(landlock.run("connect-abstract", &[&name]).last().ends_with("refused EPERM"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().to_string();
        assert!(landlock.run("connect-tcp", &[&port]).last().ends_with("refused EACCES"));
    }
}
