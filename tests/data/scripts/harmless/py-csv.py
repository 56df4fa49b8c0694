import csv, io

def run(plugin_config, context):
    rows = list(csv.DictReader(io.StringIO(context["output"])))
    return {"rows": len(rows), "columns": sorted(rows[0]) if rows else []}
