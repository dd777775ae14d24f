"""Many frozen nets as one fast, differentiable function."""
