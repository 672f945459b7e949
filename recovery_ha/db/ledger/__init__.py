"""The ledger: transactions, their steps, history and events, and clusters.

Whoever changes anything of a transaction locks its row first
(:meth:`book.Book.open`) and keeps it until the commit. So its rows, the
counters on it and on its steps, and the order of its events change together
and by one writer at a time, without a deadlock; different transactions do
not wait for each other. Nothing that reads takes a lock or writes.
"""
