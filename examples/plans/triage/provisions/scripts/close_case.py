def main(input_1, input_2, input_3, input_4, input_5):
    """Everything that is known about the case, in one object."""
    return {
        "category": input_1,
        "urgent": "true" in str(input_2).lower(),
        "instruction": input_3,
        "reply": input_4,
        "log": input_5,
    }
