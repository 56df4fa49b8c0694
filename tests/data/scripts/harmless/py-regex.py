import re

ERROR = re.compile(r"^(error|warning): (?P<text>.*)$", re.M)

def run(plugin_config, context):
    found = [match["text"] for match in ERROR.finditer(context.get("output", ""))]
    return {"status": "success", "output": "\n".join(found), "count": len(found)}
