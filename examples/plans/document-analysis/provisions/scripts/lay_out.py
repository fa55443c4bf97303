import re

ENGLISH = {
    "kinds": {},
    "report": "Report",
    "kind": "Kind of document",
    "size": "Size",
    "sections": ("section", "sections"),
    "words": ("word", "words"),
    "overview": "Overview",
    "section": "Section",
    "by section": "Section by section",
    "asks": "(asks for action)",
    "steps": "What to do",
    "nothing": "The document asks nothing of its reader.",
}
CHINESE = {
    "kinds": {
        "report": "报告",
        "minutes": "会议纪要",
        "letter": "信函",
        "contract": "合同",
        "notice": "通知",
        "article": "文章",
        "other": "其他",
    },
    "report": "报告",
    "kind": "文档类型",
    "size": "篇幅",
    "sections": ("节", "节"),
    "words": ("字", "字"),
    "overview": "概述",
    "section": "第",
    "by section": "各节内容",
    "asks": "（要求采取行动）",
    "steps": "待办事项",
    "nothing": "文档没有要求读者采取行动。",
}
HAN = re.compile(r"[\u3400-\u9fff]")


def main(input_1, input_2, input_3, input_4):
    """The report as Markdown, in Chinese for a document that is written in Chinese."""
    findings = input_3 if isinstance(input_3, list) else [input_3]
    text = "\n".join(finding["text"] for finding in findings)
    words = CHINESE if len(HAN.findall(text)) * 3 > len(re.sub(r"\s", "", text)) else ENGLISH
    length = len(HAN.findall(text)) if words is CHINESE else len(re.findall(r"\w+", text))
    lines = [
        f"# {words['report']}",
        "",
        f"- {words['kind']}: {words['kinds'].get(input_1, input_1)}",
        f"- {words['size']}: {counted(len(findings), words['sections'])}, {counted(length, words['words'])}",
        "",
        f"## {words['overview']}",
        "",
        str(input_2),
        "",
        f"## {words['by section']}",
        "",
    ]
    for number, finding in enumerate(findings, start=1):
        mark = f" {words['asks']}" if finding["asks_for_action"] else ""
        title = f" **{finding['title']}**" if finding["title"] else ""
        lines.append(f"{number}.{title} {finding['summary']}{mark}")
    lines += ["", f"## {words['steps']}", ""]
    lines += [f"- {step}" for step in steps_of(input_4)] or [words["nothing"]]
    return "\n".join(lines)


def counted(number, forms):
    return f"{number} {forms[0] if number == 1 else forms[1]}"


def steps_of(steps):
    if isinstance(steps, str):
        steps = [] if steps == "none" else [steps]
    return [str(step).strip() for step in steps if str(step).strip()]
