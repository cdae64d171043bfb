"""What a guest architecture is: trap frame, page tables, user state."""
