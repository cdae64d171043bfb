"""File systems that the Linux server makes up itself: /proc, /dev, /sys."""
