import enum

class Level(enum.Enum):
    LOW = 1
    HIGH = 2

def run(plugin_config, context):
    match plugin_config.get("level"):
        case "low":
            level = Level.LOW
        case str() as other if other:
            level = Level.HIGH
        case _:
            return {"status": "skipped"}
    return {"level": level.name}
