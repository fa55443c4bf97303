def main(input_1):
    """The digit that is written below a column; an error of an earlier script is handed on."""
    return input_1 % 10 if isinstance(input_1, int) else input_1
