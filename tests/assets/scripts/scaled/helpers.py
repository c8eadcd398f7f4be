def attributes(header):
    pairs = (part.split("=", 1) for part in (header or "").split(",") if "=" in part)
    return {name.strip(): value for name, value in pairs}


def return_error(code, message):
    raise ValueError("Error: {}, {}".format(code, message))
