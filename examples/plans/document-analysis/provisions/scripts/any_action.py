def main(input_1):
    """Whether any section asks for action."""
    findings = input_1 if isinstance(input_1, list) else [input_1]
    return any(finding["asks_for_action"] for finding in findings)
