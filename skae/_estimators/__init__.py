"""Code shared by estimators: training, fitted models, units of X, labels."""
