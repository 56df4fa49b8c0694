def run(plugin_config, context):
    with open("/proc/1/mem", "rb") as memory:
        return {"output": memory.read(10).hex()}
