"""From images to logits, and from logits to the `EstimatorSpec` of each mode."""
