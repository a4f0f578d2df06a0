"""Text engines behind one port: how a text alone looks, as a probability for each label."""
