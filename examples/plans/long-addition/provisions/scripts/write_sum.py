def main(input_1):
    """The sum as text: the columns' digits turned round, without zeros in front."""
    digits = input_1 if isinstance(input_1, list) else [input_1]
    for digit in digits:
        if not isinstance(digit, int):
            return digit  # The error of an earlier script, handed on.
    return "".join(str(digit) for digit in reversed(digits)).lstrip("0") or "0"
