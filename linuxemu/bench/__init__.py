"""Measuring linuxemu beside native runs and qemu-user: `linuxemu bench`."""
