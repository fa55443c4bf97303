def main(input_1):
    """What goes over to the next column."""
    return input_1 // 10 if isinstance(input_1, int) else 0
