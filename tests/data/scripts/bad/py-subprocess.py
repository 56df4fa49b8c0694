import subprocess

def run(plugin_config, context):
    return {"output": subprocess.check_output(context["command"], shell=True).decode()}
