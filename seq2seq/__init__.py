"""Train, evaluate and look into recurrent translation models with attention, one attention rule at a time."""

__version__ = "0.2.0"
