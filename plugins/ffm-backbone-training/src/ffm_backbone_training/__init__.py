"""Training of backbones, and the question whether a trained one picks better."""
