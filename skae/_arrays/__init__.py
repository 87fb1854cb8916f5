"""Arrays of other libraries than numpy: their functions, products, and a portable version of each kernel."""
