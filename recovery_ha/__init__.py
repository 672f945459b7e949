"""High availability for the instances of an OpenStack cloud."""
