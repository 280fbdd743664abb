"""What the falsifier can test: labelers, feature sets, exits, learners, embedders, targets."""
