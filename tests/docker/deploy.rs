//! `docker-deploy`: a container answers on a port, or none remains.

use migraine_tests::docker::Cleared;
use serde_json::json;

use crate::manager::each_user;

#[test]
fn a_deployed_image_answers_on_its_port() {
    each_user(|manager| {
        let (daemon, name, port) = (manager.daemon, manager.name("deployed"), manager.port(18020));
        let _cleared = Cleared::new(daemon, &[&name]);
        daemon.image("deployed:1");
        let publish = format!("{port}:80");
        let done = manager.run(&["docker-deploy", "--image", "deployed:1", "--port", &publish, "--name", &name]);
        let container = daemon.inspect(&name);
        assert_eq!(done.ends(0).out, format!("{}\t{name}\n", &container["Id"].as_str().unwrap()[..12]));
        assert_eq!(daemon.get(port.parse().unwrap()), "hello from the container\n");
        assert_eq!(container["Config"]["Image"], "deployed:1");
        assert_eq!(container["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], json!(port));
        assert_eq!(container["HostConfig"]["Privileged"], false);
    });
}

#[test]
fn without_a_name_the_daemon_gives_one() {
    each_user(|manager| {
        let (daemon, port) = (manager.daemon, manager.port(18022));
        daemon.image("unnamed:1");
        let done = manager.run(&["docker-deploy", "--image", "unnamed:1", "--port", &port]);
        let (id, name) = done.ends(0).out.trim_end().split_once('\t').unwrap();
        let _cleared = Cleared::new(daemon, &[id]);
        assert_eq!(daemon.inspect(id)["Name"], format!("/{name}"));
    });
}

#[test]
fn a_port_that_is_taken_leaves_no_container() {
    each_user(|manager| {
        let (daemon, first, second) = (manager.daemon, manager.name("holder"), manager.name("second"));
        let _cleared = Cleared::new(daemon, &[&first, &second]);
        let port = manager.port(18024);
        daemon.image("taken:1");
        daemon.client(&["run", "--detach", "--name", &first, "--publish", &format!("{port}:80"), "taken:1"]);
        let publish = format!("{port}:80");
        let done = manager.run(&["docker-deploy", "--image", "taken:1", "--port", &publish, "--name", &second]);
        done.ends(5).says(&["error[plugin_failed]", &format!("port {port} of this machine is taken")]);
        assert_eq!(done.out, "");
        assert_ne!(daemon.try_client(&["inspect", &second]).0, 0, "the container is still there");
        // The name that is taken is said too.
        let done = manager.run(&["docker-deploy", "--image", "taken:1", "--port", "18026", "--name", &first]);
        done.ends(5).says(&["already in use"]);
        assert_eq!(daemon.get(port.parse().unwrap()), "hello from the container\n");
    });
}

#[test]
fn an_image_that_is_nowhere_cannot_be_deployed() {
    each_user(|manager| {
        let name = manager.name("nowhere");
        manager.home.ok(&["plugin", "config", "docker-manager", "set", "default_registry", "localhost:9"]);
        let done = manager.run(&["docker-deploy", "--image", "nothing-here", "--port", "18028", "--name", &name]);
        done.ends(5)
            .says(&["pulling localhost:9/nothing-here:latest", "cannot pull localhost:9/nothing-here:latest: "]);
        assert_eq!(done.err.matches("error[plugin_failed]").count(), 1);
        assert_ne!(manager.daemon.try_client(&["inspect", &name]).0, 0);
    });
}
