"""Recovery of hosts: from a claimed notification to its end."""
