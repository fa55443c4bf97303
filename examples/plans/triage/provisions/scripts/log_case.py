LOG = "log/cases.csv"


def main(input_1, input_2, body):
    """Appends a line to the log in the run's folder and returns what it says."""
    category, urgent = str(input_1), "true" in str(input_2).lower()
    files = body.file_system
    before = files.read(LOG)["content"] if files.exists(LOG) else "category,urgent\n"
    files.save(f"{before}{category},{'yes' if urgent else 'no'}\n", LOG)
    return {"category": category, "urgent": urgent}
