//! Lists, builds, deploys and reads containers of the Docker daemon of this machine.
#![forbid(unsafe_code)]

mod arguments;
mod build;
mod context;
mod deploy;
mod dockerignore;
mod errors;
mod grants;
mod list;
mod logs;
mod transport;

use std::path::PathBuf;

use migraine_plugin_api::prelude::*;

use crate::arguments::{ContainerName, ImageName, Publish};
use crate::build::Build;
use crate::deploy::Deploy;
use crate::logs::Logs;
use crate::transport::Daemon;

/// The plugin. It keeps nothing: every command asks the daemon.
#[derive(Debug)]
pub struct DockerManager;

#[plugin(
    permissions("network=unix:{{config.docker_socket}}", "filesystem=read:*"),
    config(docker_socket = "/var/run/docker.sock", default_registry = "docker.io"),
    dependencies("docker", "docker-socket"),
    install_requires("docker CLI tools", "Docker daemon running"),
    bind("workflow:post-deploy" = "docker-logs --container {{container_name}}")
)]
impl DockerManager {
    /// List running Docker containers
    #[command]
    fn docker_list_containers(
        &self,
        ctx: &mut CommandContext,
        /// Also list containers that do not run
        all: bool,
    ) -> Result<(), PluginError> {
        let mut out = ctx.out();
        Daemon::open(ctx.host())?.run(async |docker| list::run(docker, all, &mut out).await)
    }

    /// Build Docker image from context
    ///
    /// The context is a granted directory; what its .dockerignore excludes is not sent.
    #[command(timeout = none)]
    fn docker_build_image(
        &self,
        ctx: &mut CommandContext,
        /// The Dockerfile, from the directory the command is called in; without it `Dockerfile` in the context
        #[arg(long)]
        file: Option<PathBuf>,
        /// The image's name, as NAME or NAME:TAG
        #[arg(long)]
        tag: ImageName,
        /// The directory to build from; without it the one the command is called in
        context: Option<PathBuf>,
    ) -> Result<(), PluginError> {
        Build { file, tag, context }.run(ctx)
    }

    /// Deploy container to Docker
    ///
    /// An image that is not here yet is pulled, by a name without a registry from `default_registry`.
    /// That may take ten minutes.
    #[command(timeout = 600)]
    fn docker_deploy(
        &self,
        ctx: &mut CommandContext,
        /// The image to run
        #[arg(long)]
        image: ImageName,
        /// The port of this machine, and after a colon the container's where it is another
        #[arg(long)]
        port: Publish,
        /// The container's name; without it the daemon makes one up
        #[arg(long)]
        name: Option<ContainerName>,
    ) -> Result<(), PluginError> {
        Deploy { image, port, name }.run(ctx)
    }

    /// Get logs from container
    #[command(timeout = none)]
    fn docker_logs(
        &self,
        ctx: &mut CommandContext,
        /// The container's name or id
        #[arg(long)]
        container: ContainerName,
        /// Go on until the container ends
        follow: bool,
        /// Only this many of the last lines
        #[arg(long)]
        tail: Option<u32>,
    ) -> Result<(), PluginError> {
        Logs { container, follow, tail }.run(ctx)
    }
}

#[cfg(test)]
mod tests;
