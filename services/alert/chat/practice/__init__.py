"""The only ways out of a practice: its own channel, and nothing in it that does not say PRACTICE."""
