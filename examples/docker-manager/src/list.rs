//! `docker-list-containers`: one line for each container, newest first.

use std::fmt::Write as _;
use std::io::Write;

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use migraine_plugin_api::PluginError;

use crate::errors::lift;

const HEADING: &str = "CONTAINER ID\tIMAGE\t\tSTATUS\t\tNAMES\n";
/// Characters of an id that are shown.
pub(crate) const ID_SHOWN: usize = 12;

/// Lists the containers, those that do not run only with `all`.
///
/// # Errors
/// The daemon does not answer, or nobody reads the output.
pub(crate) async fn run(docker: &Docker, all: bool, out: &mut impl Write) -> Result<(), PluginError> {
    let options = ListContainersOptionsBuilder::default().all(all).build();
    let containers = docker.list_containers(Some(options)).await;
    let containers = containers.map_err(|error| lift("cannot list containers", error))?;
    out.write_all(render(&containers).as_bytes())?;
    Ok(())
}

fn render(containers: &[ContainerSummary]) -> String {
    let mut text = HEADING.to_owned();
    for container in containers {
        let part = |value: &Option<String>| value.clone().unwrap_or_default();
        // The daemon writes each name with a slash before it; nobody types it.
        let names: Vec<&str> =
            container.names.iter().flatten().map(|name| name.strip_prefix('/').unwrap_or(name)).collect();
        let id: String = part(&container.id).chars().take(ID_SHOWN).collect();
        let _ = writeln!(text, "{id}\t{}\t{}\t{}", part(&container.image), part(&container.status), names.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_the_reference() {
        let container = ContainerSummary {
            id: Some("0123456789abcdef".to_owned()),
            image: Some("web:1".to_owned()),
            status: Some("Up 2 seconds".to_owned()),
            names: Some(vec!["/web".to_owned(), "/db/web".to_owned()]),
            ..ContainerSummary::default()
        };
        let text = render(&[container]);
        assert_eq!(text, "CONTAINER ID\tIMAGE\t\tSTATUS\t\tNAMES\n0123456789ab\tweb:1\tUp 2 seconds\tweb,db/web\n");
        assert_eq!(render(&[]), HEADING);
    }
}
