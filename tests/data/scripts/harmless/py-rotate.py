import os
import shutil

def rotate(path, keep):
    for number in range(keep - 1, 0, -1):
        if os.path.exists(f"{path}.{number}"):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    shutil.move(path, f"{path}.1")

def run(plugin_config, context):
    path = plugin_config["log_file"]
    if os.path.exists(path) and os.path.getsize(path) > 1000:
        rotate(path, int(plugin_config.get("keep", 3)))
    return {}
