import sys

def run(plugin_config, context):
    if (count := len(context.get("output", "").splitlines())) > 10:
        print(f"{count} lines, \N{BULLET} too many", file=sys.stderr)
    return {"lines": count}
