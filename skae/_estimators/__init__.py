"""Code shared by estimators: training, fitted models, the scale of X, labels."""
