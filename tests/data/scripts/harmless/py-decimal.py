from decimal import Decimal
from fractions import Fraction

def run(plugin_config, context):
    return {"price": str(Decimal("1.10") * 3), "share": str(Fraction(1, 3))}
