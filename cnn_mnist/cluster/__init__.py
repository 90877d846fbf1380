"""Everything that only several processes need."""
