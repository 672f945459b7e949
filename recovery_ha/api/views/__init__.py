"""From dataclasses to what is answered at a version; no queries here."""
