"""How fast, how much read and written, how idle, how small: measured beside what people use instead."""
