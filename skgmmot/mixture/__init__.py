"""How a mixture is fitted: covariance types, starts, the penalty, EM and Adam."""
