def main(input_1):
    """The summaries in the order of the document, one paragraph each."""
    summaries = input_1 if isinstance(input_1, list) else [input_1]
    return "\n\n".join(str(summary) for summary in summaries)
