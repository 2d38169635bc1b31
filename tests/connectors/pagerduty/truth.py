ENUMS = "none"
TECHNICAL = set()
