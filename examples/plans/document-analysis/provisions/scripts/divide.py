import ast
import re

SMALLEST = 300
MOST = 12


def main(input_1):
    """The sections of a document: at its headings where it has some, otherwise in runs of paragraphs."""
    text = str(input_1).replace("\r\n", "\n").replace("\r", "\n").strip("\ufeff \n\t")
    if not text:
        return ["The document contains no text."]
    parts = re.split(r"\n(?=#{1,3} )", text)
    if len(parts) == 1:
        parts = re.split(r"\n\s*\n", text)
    smallest = max(SMALLEST if len(parts) > 1 else 0, len(text) // MOST)
    return [readable(section) for section in joined(parts, smallest)]


def joined(parts, smallest):
    """Neighbouring parts put together until each is long enough; a heading always starts a section of its own."""
    sections = []
    for part in parts:
        part = part.strip()
        if not part:
            continue
        starts = part.startswith("#") and len(sections) < MOST
        if sections and len(sections[-1]) < smallest and not (starts and "\n" in sections[-1]):
            sections[-1] += "\n\n" + part
        elif len(sections) < MOST:
            sections.append(part)
        else:
            sections[-1] += "\n\n" + part
    return sections


def readable(section):
    """A text that would be taken for a Python value, such as 42 or [1], gets a word in front."""
    try:
        ast.literal_eval(section)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return section
    return f"Text: {section}"
