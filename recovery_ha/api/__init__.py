"""The REST API: what a request may say, and what it is answered.

It reads and writes the database only; it never talks to Nova or an engine.
"""
