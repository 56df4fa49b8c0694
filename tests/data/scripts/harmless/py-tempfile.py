import os
import random
import string

def run(plugin_config, context):
    name = "".join(random.choices(string.ascii_lowercase, k=8))
    path = os.path.join("/tmp", name)
    with open(path, "w") as scratch:
        scratch.write(context["output"])
    os.remove(path)
    return {}
