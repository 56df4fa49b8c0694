//! The network and sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use migraine_host::wire::PROXY_PORT;
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
            // Of a range that is for documents alone (RFC 5737).
            Attack::new("connect-tcp", &["192.0.2.1:80"]).answer(EPERM),
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
            Attack::new("udp", &["127.0.0.53:53"]).answer(EPERM),
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
            Attack::new("connect-unix", &["{dir}/socket"]).writes().by(Stops::Filters).answer(EPERM),
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

#[test]
fn own_sockets_reach_nobody() {
    everywhere(|arena, user| {
        let mut scene = Scene::new(user, &[]);
        let arena = arena.clone().with(&["--listens"]);
        for (attack, endpoint, answer) in [
            // An older kernel's Landlock leaves it to the namespace, where nobody has that port.
            ("connect-tcp", "{tcp}", &["EACCES", "ECONNREFUSED"][..]),
            ("udp", "{udp}", EPERM),
            ("connect-unix", "{dir}/socket", EPERM),
            ("connect-abstract", "{abstract}", EPERM),
            ("listen", "", EPERM),
        ] {
            let outcome = arena.run(attack, &[&scene.fill(endpoint)]);
            let refused = answer.iter().any(|answer| outcome.last().ends_with(&format!("refused {answer}")));
            assert!(refused, "{attack}: {outcome:?}");
        }
        let proxy = format!("127.0.0.1:{PROXY_PORT}");
        assert!(arena.run("connect-tcp", &[&proxy]).worked(), "the proxy's own port is open");
        assert_eq!(scene.touched(), None);
    });
}

#[test]
fn the_proxy_is_the_way_out() {
    let site = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = site.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in site.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let _ = stream.by_ref().lines().map_while(Result::ok).find(String::is_empty);
            let _ = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfound\n");
        }
    });
    everywhere(|arena, _| {
        let run = |line: &str| arena.clone().with(&["--proxied", &endpoint]).run(line, &[]);
        let found = run(&format!("curl -sS http://{endpoint}/"));
        assert_eq!((found.code, found.out.as_str()), (0, "found\n"), "{found:?}");
        assert!(found.err.contains(&format!("granted: connected to `{endpoint}` through the proxy")), "{found:?}");
        let other = run("curl -sS http://other.example/");
        assert!(
            other.out.contains("network=other.example:80") && other.err.contains("audit: permission_denied"),
            "{other:?}"
        );
        let direct = run(&format!("curl -sS --noproxy '*' http://{endpoint}/"));
        assert_eq!((direct.code, direct.out.as_str()), (7, ""), "{direct:?}");
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().to_string();
        assert!(landlock.run("connect-tcp", &[&port]).last().ends_with("refused EACCES"));
    }
}
