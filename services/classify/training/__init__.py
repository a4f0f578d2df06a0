"""From labelled text to a model directory, and how good it is. scikit-learn is used here alone."""
