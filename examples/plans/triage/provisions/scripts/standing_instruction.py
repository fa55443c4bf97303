import json

TABLE = "provisions/data/standing_instructions.json"


def main(input_1, body):
    """What is answered to messages of a category that are not urgent."""
    table = json.loads(body.file_system.read(TABLE)["content"])
    return table.get(input_1, table["other"])
