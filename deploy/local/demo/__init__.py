"""The demo: a day in the life of a fictional airline, in the platforms' own payloads."""
