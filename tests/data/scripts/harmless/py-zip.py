import zipfile
from pathlib import Path

def run(plugin_config, context):
    with zipfile.ZipFile("all.zip", "w") as archive:
        for path in Path(".").rglob("*.log"):
            archive.write(path)
    return {}
