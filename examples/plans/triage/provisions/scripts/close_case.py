def main(input_1, input_2, input_3):
    """Everything that is known about the case, in one object."""
    return {**input_1, "instruction": input_2, "reply": input_3}
