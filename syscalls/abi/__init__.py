"""The Linux ABI as data: numbers, flags and structure layouts, without behaviour."""
