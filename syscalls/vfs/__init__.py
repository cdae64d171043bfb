"""The virtual file system: mounts, dentries, inodes, path walk, page cache."""
