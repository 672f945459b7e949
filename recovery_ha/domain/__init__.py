"""Pure decisions and the nouns they are about: standard library only."""
