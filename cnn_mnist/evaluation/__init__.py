"""From probabilities to numbers, pictures and the report."""
