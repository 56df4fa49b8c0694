//! What the user is told before the plugin may reach a daemon.

use migraine_tests::home::Home;
use migraine_tests::package::plugin;
use migraine_tests::terminal::converse;

const WARNING: &str = "it reaches the Docker service, which controls this machine";

#[test]
fn the_socket_is_said_to_control_this_machine() {
    let home = Home::new();
    let parcel = plugin("docker-manager");
    let done = home.run(["plugin", "install", parcel.typed(), "--yes"]);
    done.ends(6).says(&["consent_required", "--grant network=unix:/var/run/docker.sock", WARNING]);
    assert_eq!(home.status("docker-manager"), "installed", "agreeing to everything is not agreeing to this");
    let home = Home::new();
    let answers = [
        ("Allow what is not marked dangerous? [y/N] ", "y\n"),
        ("Which directories may it read?", "\n"),
        ("DANGEROUS: allow it to connect to the socket /var/run/docker.sock? [y/N] ", "n\n"),
    ];
    let done = converse(&home, &["plugin", "install", parcel.typed()], &[], &answers);
    done.ends(6).says(&[WARNING, "read the files of directories that you name"]);
}
