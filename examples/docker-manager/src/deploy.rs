//! `docker-deploy`: a container that runs an image and answers on a port of this machine.

use std::collections::HashMap;
use std::io::Write as _;
use std::pin::pin;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures_util::StreamExt as _;
use migraine_plugin_api::{CommandContext, PluginError};

use crate::arguments::{ContainerName, ImageName, Publish};
use crate::errors::lift;
use crate::list::ID_SHOWN;
use crate::transport::Daemon;

/// What was asked for.
pub(crate) struct Deploy {
    pub(crate) image: ImageName,
    pub(crate) port: Publish,
    pub(crate) name: Option<ContainerName>,
}

impl Deploy {
    /// Starts the container and prints its id and name.
    ///
    /// # Errors
    /// The daemon does not answer, the image is neither here nor in its registry, the name or the port is taken, or the
    /// image cannot be started. No container remains.
    pub(crate) fn run(&self, ctx: &CommandContext) -> Result<(), PluginError> {
        let registry = ctx.host().config_text("default_registry").filter(|registry| !registry.is_empty());
        let qualified = self.image.qualified(registry.as_deref().unwrap_or("docker.io"));
        let (id, name) = Daemon::open(ctx.host())?.run(async |docker| {
            let image = match self.find(docker, &qualified).await? {
                Some(image) => image,
                None => {
                    writeln!(ctx.err(), "docker-manager: {} is not here; pulling {qualified}", self.image)?;
                    pull(docker, &qualified).await?;
                    &qualified
                }
            };
            let id = self.create(docker, image).await?;
            self.start(docker, &id).await?;
            let name = self.name_of(docker, &id).await?;
            Ok::<_, PluginError>((id, name))
        })?;
        let id: String = id.chars().take(ID_SHOWN).collect();
        writeln!(ctx.out(), "{id}\t{name}")?;
        Ok(())
    }

    /// The name under which the image is here, if it is.
    async fn find<'a>(&'a self, docker: &Docker, qualified: &'a str) -> Result<Option<&'a str>, PluginError> {
        for name in [self.image.as_str(), qualified] {
            match docker.inspect_image(name).await {
                Ok(_) => return Ok(Some(name)),
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => return Err(lift(&format!("cannot look for the image {name}"), error)),
            }
        }
        Ok(None)
    }

    async fn create(&self, docker: &Docker, image: &str) -> Result<String, PluginError> {
        let inner = format!("{}/tcp", self.port.container);
        let binding = PortBinding { host_ip: None, host_port: Some(self.port.host.to_string()) };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            exposed_ports: Some(vec![inner.clone()]),
            host_config: Some(HostConfig {
                port_bindings: Some(HashMap::from([(inner, Some(vec![binding]))])),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options =
            self.name.as_ref().map(|name| CreateContainerOptionsBuilder::default().name(name.as_str()).build());
        let created = docker.create_container(options, body).await;
        Ok(created.map_err(|error| lift(&format!("cannot create a container of {}", self.image), error))?.id)
    }

    /// Starts the container; one that cannot start is removed again.
    async fn start(&self, docker: &Docker, id: &str) -> Result<(), PluginError> {
        let Err(error) = docker.start_container(id, None::<StartContainerOptions>).await else { return Ok(()) };
        let error = self.unstarted(error);
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match docker.remove_container(id, Some(options)).await {
            Ok(()) => Err(error),
            Err(removal) => Err(lift(&format!("{error}; and the container {id} cannot be removed again"), removal)),
        }
    }

    fn unstarted(&self, error: Error) -> PluginError {
        let taken = matches!(&error, Error::DockerResponseServerError { message, .. }
            if message.contains("already allocated") || message.contains("address already in use"));
        if taken {
            PluginError::failed(format!("port {} of this machine is taken; nothing was deployed", self.port.host))
                .with_help("choose another one: --port HOST:CONTAINER")
        } else {
            lift(&format!("cannot start a container of {}", self.image), error)
        }
    }

    async fn name_of(&self, docker: &Docker, id: &str) -> Result<String, PluginError> {
        if let Some(name) = &self.name {
            return Ok(name.to_string());
        }
        let container = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        let name = container.map_err(|error| lift(&format!("cannot look at the container {id}"), error))?.name;
        Ok(name.unwrap_or_default().trim_start_matches('/').to_owned())
    }
}

async fn pull(docker: &Docker, image: &str) -> Result<(), PluginError> {
    let options = CreateImageOptionsBuilder::default().from_image(image).build();
    let mut steps = pin!(docker.create_image(Some(options), None, None));
    while let Some(step) = steps.next().await {
        step.map_err(|error| lift(&format!("cannot pull {image}"), error))?;
    }
    Ok(())
}
