//! After the action `deploy` of a workflow the plugin shows the container's log.

use migraine_tests::docker::Cleared;

use crate::manager::each_user;

const WORKFLOW: &str = "name: w\nactions: {deploy: {command: echo deployed}, check: {command: echo checked}}";

// covers: S87
#[test]
fn the_log_is_shown_after_a_deployment() {
    each_user(|manager| {
        let (daemon, name, port) = (manager.daemon, manager.name("flow"), manager.port(18040));
        let _cleared = Cleared::new(daemon, &[&name]);
        daemon.image("flow:1");
        let publish = format!("{port}:80");
        manager.run(&["docker-deploy", "--image", "flow:1", "--port", &publish, "--name", &name]).ends(0);
        daemon.get(port.parse().unwrap());
        manager.home.write("w.yaml", WORKFLOW);
        let run = |action: &str, container: &str| {
            let variable = format!("container_name={container}");
            manager.home.run(["run", "./w.yaml", "-a", action, "-v", &variable])
        };
        let done = run("deploy", &name);
        done.ends(0).says(&["deployed\n", "web: serving on port 80\n", "web: nothing has gone wrong\n"]);
        run("check", &name).ends(0).says(&["checked\n"]).never_says(&["web: "]);
        // The deployment has happened: what cannot be shown is a warning.
        run("deploy", "not-there").ends(0).says(&["deployed\n", "No such container: not-there"]);
        // A value is one argument, whatever it holds.
        run("deploy", "x --follow").ends(0).says(&["a container's name has"]).never_says(&["web: "]);
    });
}
