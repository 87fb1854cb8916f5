"""What estimators share: training, fitted models, units of X, labels."""
