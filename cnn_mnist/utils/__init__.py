"""What every room uses: errors, files, processes and signals, the screen, event files."""
