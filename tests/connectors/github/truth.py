TECHNICAL = {"page_size"}
ENUMS = "x"


def truths(_f):
    return iter(())
