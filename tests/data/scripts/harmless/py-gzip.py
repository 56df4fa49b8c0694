import gzip

def run(plugin_config, context):
    with gzip.open("output.gz", "wt") as out:
        out.write(context["output"])
    return {"status": "success"}
