"""What is asked of this switch alone, over real interfaces: no peer has the like."""
