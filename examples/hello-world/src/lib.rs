//! The smallest plugin that is of use to somebody: two commands, no permissions, no state.
#![forbid(unsafe_code)]

use migraine_plugin_api::prelude::*;

/// Greets.
#[derive(Debug)]
pub struct HelloWorld;

#[plugin]
impl HelloWorld {
    /// Greet the world
    #[command]
    fn hello(&self, ctx: &CommandContext) -> Result<(), PluginError> {
        writeln!(ctx.out(), "Hello, World!")?;
        Ok(())
    }

    /// Greet somebody by name
    #[command]
    fn greet(
        &self,
        ctx: &CommandContext,
        /// Who is greeted
        name: String,
    ) -> Result<(), PluginError> {
        writeln!(ctx.out(), "Hello, {name}! Greetings from the hello-world plugin.")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use migraine_plugin_api::testing::Bench;
    use migraine_plugin_api::{ErrorKind, Manifest, Plugin as _};

    use super::*;

    // covers: S237
    #[test]
    fn the_texts_are_those_of_the_reference() {
        let mut bench = Bench::<HelloWorld>::new();
        assert_eq!(bench.command("hello", &[]).unwrap(), "Hello, World!\n");
        let greeting = bench.command("greet", &["Marathon"]).unwrap();
        assert_eq!(greeting, "Hello, Marathon! Greetings from the hello-world plugin.\n");
    }

    #[test]
    fn a_missing_name_is_a_usage_error() {
        let error = Bench::<HelloWorld>::new().command("greet", &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains("Usage: migraine plugin run hello-world greet <NAME>"), "{error}");
    }

    #[test]
    fn the_manifest_asks_for_nothing() {
        let manifest: Manifest = serde_json::from_str(HelloWorld::MANIFEST).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("hello-world", "1.0.0"));
        assert_eq!(manifest.description, "A simple hello world plugin");
        assert_eq!(manifest.license, "MIT");
        assert!(manifest.permissions.is_empty());
        let commands: Vec<_> = manifest.commands.iter().map(|command| command.name.as_str()).collect();
        assert_eq!(commands, ["hello", "greet"]);
    }
}
