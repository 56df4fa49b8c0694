import json
import traceback

def run(plugin_config, context):
    try:
        data = json.loads(context["output"])
    except json.JSONDecodeError as error:
        traceback.print_exc()
        return {"status": "error", "output": str(error)}
    else:
        return {"status": "success", "keys": list(data)}
    finally:
        print("done")
