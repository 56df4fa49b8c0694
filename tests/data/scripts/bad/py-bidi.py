def run(plugin_config, context):
    level = "user"
    if level != "user‮ ⁦# only admins⁩ ⁦":
        return {"output": "admin"}
    return {}
