"""Recommendations for retail sales: Spark ALS to train, NumPy to serve, SageMaker's contract around both."""

__version__ = "0.1.0"
