def main(input_1, input_2, input_3):
    """What is known about one section: its title if it has one, its text, its summary, whether it asks for action."""
    lines = str(input_1).split("\n")
    has_title = lines[0].startswith("#") or (len(lines) > 1 and not lines[1].strip() and is_short(lines[0]))
    title = lines[0].lstrip("# ").strip() if has_title else ""
    return {
        "title": title,
        "text": str(input_1),
        "summary": str(input_2).removeprefix(title).strip() or title,
        "asks_for_action": str(input_3).lower() == "true",
    }


def is_short(line):
    return 0 < len(line) <= 60 and line[-1] not in ".!?;,。！？；，"
