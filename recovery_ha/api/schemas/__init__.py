"""JSON Schemas of bodies, queries and answers, by microversion.

``description`` says in words what is allowed; refusals repeat it.
"""
