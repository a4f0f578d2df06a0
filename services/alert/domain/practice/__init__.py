"""What a practice decides: who is on the team, when a message comes, and what is said afterwards. Pure."""
