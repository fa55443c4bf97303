def main(input_1):
    """The text of the sections that ask for action."""
    findings = input_1 if isinstance(input_1, list) else [input_1]
    return "\n\n".join(finding["text"] for finding in findings if finding["asks_for_action"])
