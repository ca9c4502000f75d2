"""What Triton's two clients do differently, in short words."""

# The field of InferTensorContents, by datatype; FP16 and BF16 have none.
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def response(answer):
    """The response of either client, as a dictionary."""
    told = answer.get_response()
    return told if isinstance(told, dict) else answer.get_response(as_json=True)


def is_repeated(field):
    """Whether a field of a descriptor is a list."""
    return field.is_repeated
