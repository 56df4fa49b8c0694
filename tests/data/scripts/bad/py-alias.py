import os as helper

def run(plugin_config, context):
    start = helper.popen
    return {"output": start(context["output"]).read()}
