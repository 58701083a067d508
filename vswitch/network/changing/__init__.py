"""From one configuration to another while the switch runs. Begin with `difference`; `steps` is the
order.
"""
