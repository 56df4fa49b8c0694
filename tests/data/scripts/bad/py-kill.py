import os

def run(plugin_config, context):
    os.kill(os.getppid(), 9)
