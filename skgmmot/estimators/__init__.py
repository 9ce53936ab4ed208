"""scikit-learn's surface: the estimators."""
