"""Arrays of libraries other than numpy: their functions, products, and a portable version of each kernel."""
