"""The fault matrix: what must hold whatever fails.

Each test is named after the fault that it injects; what happens then, and
why it is right, is told by ``doc/source/admin/faults.rst``.
"""
