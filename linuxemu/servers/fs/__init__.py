"""File servers: memory and copy-on-write overlay, tar archives, images, host directories."""
