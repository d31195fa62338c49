"""Writes OFRecord part files with Google's protobuf, from the message definition, and what they hold as JSON.

    python test/golden/ofrecord.py test/golden
"""

import json
import random
import struct
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

folder = Path(sys.argv[1])

FIELD = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="golden", syntax="proto2")
lists = [
    ("bytes_list", "BytesList", FIELD.TYPE_BYTES),
    ("float_list", "FloatList", FIELD.TYPE_FLOAT),
    ("double_list", "DoubleList", FIELD.TYPE_DOUBLE),
    ("int32_list", "Int32List", FIELD.TYPE_INT32),
    ("int64_list", "Int64List", FIELD.TYPE_INT64),
]
feature = descriptor_pb2.DescriptorProto(name="Feature")
feature.oneof_decl.add(name="kind")
for number, (field, name, kind) in enumerate(lists, 1):
    message = file.message_type.add(name=name)
    value = message.field.add(name="value", number=1, label=FIELD.LABEL_REPEATED, type=kind)
    if kind != FIELD.TYPE_BYTES:
        value.options.packed = True
    feature.field.add(
        name=field, number=number, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_MESSAGE,
        type_name=f".golden.{name}", oneof_index=0,
    )
file.message_type.append(feature)
record = file.message_type.add(name="OFRecord")
entry = record.nested_type.add(name="FeatureEntry")
entry.options.map_entry = True
entry.field.add(name="key", number=1, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_STRING)
entry.field.add(
    name="value", number=2, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_MESSAGE, type_name=".golden.Feature"
)
record.field.add(
    name="feature", number=1, label=FIELD.LABEL_REPEATED, type=FIELD.TYPE_MESSAGE,
    type_name=".golden.OFRecord.FeatureEntry",
)
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
OFRecord = message_factory.GetMessageClass(pool.FindMessageTypeByName("golden.OFRecord"))

random.seed(5)
expected = []
for part, count in enumerate([3, 5, 2]):
    data = b""
    for _ in range(count):
        n = len(expected)
        values = {
            "labels": [n],
            "dense": [struct.unpack("<f", struct.pack("<f", random.uniform(-2, 2)))[0] for _ in range(3)],
            "exact": [random.uniform(-1e9, 1e9) for _ in range(2)],
            "wide": [-(2**62) - n, 2**53 + 1 + n],
            "ids": [random.randrange(-100, 100) for _ in range(n % 4)],
            "bytes": [random.randrange(256) for _ in range(4)],
        }
        one = OFRecord()
        one.feature["labels"].int32_list.value.extend(values["labels"])
        one.feature["dense"].float_list.value.extend(values["dense"])
        one.feature["exact"].double_list.value.extend(values["exact"])
        one.feature["wide"].int64_list.value.extend(values["wide"])
        one.feature["ids"].int32_list.SetInParent()
        one.feature["ids"].int32_list.value.extend(values["ids"])
        one.feature["bytes"].bytes_list.value.append(bytes(values["bytes"]))
        message = one.SerializeToString(deterministic=True)
        data += struct.pack("<q", len(message)) + message
        expected.append({**values, "wide": [str(v) for v in values["wide"]]})
    (folder / "ofrecord" / f"part-{part:05d}").write_bytes(data)
lines = ",\n".join(json.dumps(values) for values in expected)
(folder / "ofrecord.json").write_text(f"[\n{lines}\n]\n")
