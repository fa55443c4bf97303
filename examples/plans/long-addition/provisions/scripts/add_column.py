def main(input_1, input_2):
    """The digits of a column and the carry from the column before it, added up."""
    column, carry = input_1, input_2
    if "digits" not in column:
        return column  # The error of an earlier script, handed on.
    return sum(column["digits"]) + int(carry)
