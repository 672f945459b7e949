"""The database: SQL lives here and nowhere else.

Plain functions whose first argument is the context. They return frozen
dataclasses of ``recovery_ha.domain``, never rows, and raise its errors.
"""
