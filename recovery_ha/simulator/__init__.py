"""A simulated OpenStack: Keystone, Nova, Placement, Glance and Aodh over HTTP.

It behaves as a cloud does when hosts die, and can be told to misbehave. It is
a product of its own and imports nothing else of the service.
"""
