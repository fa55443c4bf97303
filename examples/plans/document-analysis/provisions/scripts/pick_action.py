def main(input_1):
    """The text of the sections that ask for action, without their titles."""
    findings = input_1 if isinstance(input_1, list) else [input_1]
    return "\n\n".join(body(finding) for finding in findings if finding["asks_for_action"])


def body(finding):
    _, _, rest = finding["text"].partition("\n")
    return rest.strip() if finding["title"] and rest.strip() else finding["text"]
