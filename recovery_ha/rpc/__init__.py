"""Wake-ups between processes: never state, and every one may be lost."""
