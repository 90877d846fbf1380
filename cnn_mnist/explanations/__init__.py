"""What a trained network sees: its layers, which pixels decide, what it takes for alike."""
