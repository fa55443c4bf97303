def main(input_1, input_2):
    """The columns of two numbers, rightmost first, and one more on the left for the last carry."""
    first, second = digits_of(input_1), digits_of(input_2)
    columns = max(len(first), len(second)) + 1
    return [{"place": place, "digits": [digit_at(first, place), digit_at(second, place)]} for place in range(columns)]


def digits_of(number):
    """The digits of a number that came as a number or as text, rightmost first."""
    text = str(number).strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number: write it with the digits 0 to 9 and nothing else")
    return [int(digit) for digit in reversed(text)]


def digit_at(digits, place):
    return digits[place] if place < len(digits) else 0
