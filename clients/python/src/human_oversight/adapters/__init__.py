"""Adapters of agent frameworks: tools by their names, also those of which an agent does not own the functions.

For a function of your own, `approval_gate` below the framework's decorator is simpler, and binds what really runs.
"""
