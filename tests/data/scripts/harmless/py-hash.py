import hashlib
import pathlib

def run(plugin_config, context):
    base = pathlib.Path(plugin_config["directory"])
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(base.glob("*.txt"))}
