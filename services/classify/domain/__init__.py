"""What an item is and why: pure rules on a notification and the scores of a text engine."""
