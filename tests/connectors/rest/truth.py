ENUMS = "x"
TECHNICAL: set[str] = set()
def truths(folder): return iter(())
