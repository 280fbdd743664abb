"""Plain implementations that the product's kernels are measured and judged against."""
