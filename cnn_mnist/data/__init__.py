"""From bytes on disk to arrays, and from arrays to batches."""
