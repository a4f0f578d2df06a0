"""One module a platform: a line of the story becomes the payload that the platform would send."""
