"""The messages of ``inference.GRPCInferenceService``, as the Open Inference Protocol names them.

They are described here and built when they are first needed: nothing is generated, and they live
in a pool of their own, so that a client's generated messages of the same names do no harm in the
same process. Numbers and types are those of the protocol's published ``open_inference_grpc.proto``
(version 2).
"""

from __future__ import annotations

import re
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

__all__ = ["PACKAGE", "SERVICE", "message", "names"]

PACKAGE: Final = "inference"
SERVICE: Final = f"{PACKAGE}.GRPCInferenceService"

_TENSOR = """
    string name = 1
    string datatype = 2
    repeated int64 shape = 3"""
_DATA = f"""{_TENSOR}
    map<string, InferParameter> parameters = 4
    InferTensorContents contents = 5"""
_NAMED = """
    string name = 1
    string version = 2"""
_DESCRIBED: Final = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live = 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready = 1",
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": "bool ready = 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": """
        string name = 1
        string version = 2
        repeated string extensions = 3""",
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": """
        string name = 1
        repeated string versions = 2
        string platform = 3
        repeated ModelMetadataResponse.TensorMetadata inputs = 4
        repeated ModelMetadataResponse.TensorMetadata outputs = 5""",
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "ModelInferRequest": """
        string model_name = 1
        string model_version = 2
        string id = 3
        map<string, InferParameter> parameters = 4
        repeated ModelInferRequest.InferInputTensor inputs = 5
        repeated ModelInferRequest.InferRequestedOutputTensor outputs = 6
        repeated bytes raw_input_contents = 7""",
    "ModelInferRequest.InferInputTensor": _DATA,
    "ModelInferRequest.InferRequestedOutputTensor": """
        string name = 1
        map<string, InferParameter> parameters = 2""",
    "ModelInferResponse": """
        string model_name = 1
        string model_version = 2
        string id = 3
        map<string, InferParameter> parameters = 4
        repeated ModelInferResponse.InferOutputTensor outputs = 5
        repeated bytes raw_output_contents = 6""",
    "ModelInferResponse.InferOutputTensor": _DATA,
    "InferParameter": """
        oneof bool bool_param = 1
        oneof int64 int64_param = 2
        oneof string string_param = 3
        oneof double double_param = 4
        oneof uint64 uint64_param = 5""",
    "InferTensorContents": """
        repeated bool bool_contents = 1
        repeated int32 int_contents = 2
        repeated int64 int64_contents = 3
        repeated uint32 uint_contents = 4
        repeated uint64 uint64_contents = 5
        repeated float fp32_contents = 6
        repeated double fp64_contents = 7
        repeated bytes bytes_contents = 8""",
}
_LINE: Final = re.compile(
    r"(?:(?P<label>repeated|oneof) )?(?P<type>map<string, \w+>|[\w.]+) (?P<name>\w+) = (?P<n>\d+)"
)
_ONEOF: Final = "parameter_choice"


def message(name: str) -> Any:
    """Return the class of a message.

    Examples
    --------
    >>> message("ModelReadyRequest")(name="delay").SerializeToString()
    b'\\n\\x05delay'
    """
    return _CLASSES[f"{PACKAGE}.{name}"]


def names() -> list[str]:
    """Return the names of all messages that lie in no other."""
    return [name for name in _DESCRIBED if "." not in name]


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, DescriptorProto] = {}
    for name, lines in _DESCRIBED.items():
        outer, _, inner = name.rpartition(".")
        holder = made[outer].nested_type if outer else file.message_type
        made[name] = kind = holder.add(name=inner)
        for line in filter(None, map(str.strip, lines.splitlines())):
            _add(kind, name, line)
    return file


def _add(kind: DescriptorProto, path: str, line: str) -> None:
    """Add one field, such as ``repeated int64 shape = 3``, to a message."""
    found = _LINE.fullmatch(line)
    assert found is not None, line
    field = kind.field.add(name=found["name"], number=int(found["n"]))
    field.label = FieldDescriptorProto.LABEL_OPTIONAL
    if found["label"] == "repeated":
        field.label = FieldDescriptorProto.LABEL_REPEATED
    elif found["label"] == "oneof":
        if not kind.oneof_decl:
            kind.oneof_decl.add(name=_ONEOF)
        field.oneof_index = 0
    if found["type"].startswith("map<"):
        # A map is a list of pairs, which have a message of their own.
        entry = kind.nested_type.add(name=f"{found['name'].title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add(entry, path, "string key = 1")
        _add(entry, path, f"{found['type'][12:-1]} value = 2")
        field.label = FieldDescriptorProto.LABEL_REPEATED
        _refer(field, f"{path}.{entry.name}")
    elif hasattr(FieldDescriptorProto, scalar := f"TYPE_{found['type'].upper()}"):
        field.type = getattr(FieldDescriptorProto, scalar)
    else:
        _refer(field, found["type"])


def _refer(field: FieldDescriptorProto, path: str) -> None:
    field.type = FieldDescriptorProto.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{path}"


_pool = descriptor_pool.DescriptorPool()
_CLASSES: Final[dict[str, Any]] = message_factory.GetMessageClassesForFiles(
    [_pool.AddSerializedFile(_file().SerializeToString()).name], _pool
)
