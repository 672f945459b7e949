"""The engine: owns work, runs its flows, and stops when it must."""
