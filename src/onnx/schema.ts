// The ONNX file format as a protobuf schema (IR version 13 and what is announced after it), and its messages as TypeScript types.
// Source: onnx.proto of the ONNX project. Fields that a newer schema adds survive as unknown fields.
import Long from "long";
import protobuf from "protobufjs";

/** Field number, outside ONNX' range, under which a skeleton holds references to payloads that stay in their file; see lift.ts. */
export const PAYLOAD_FIELD = 536_870_000;

// Three departures from onnx.proto, none of them visible in a file. Texts that the compiler does not read are bytes: they may be no UTF-8.
// 32-bit floats are their bits: a signalling NaN would not survive as a number. Enums are int32, so that values of the future are kept.
const SCHEMA = `
syntax = "proto2";
option features.utf8_validation = VERIFY;
message AttributeProto {
  optional string name = 1; optional fixed32 f = 2; optional int64 i = 3; optional bytes s = 4;
  optional TensorProto t = 5; optional GraphProto g = 6;
  repeated fixed32 floats = 7; repeated int64 ints = 8; repeated bytes strings = 9;
  repeated TensorProto tensors = 10; repeated GraphProto graphs = 11;
  optional bytes doc_string = 13; optional TypeProto tp = 14; repeated TypeProto type_protos = 15;
  optional int32 type = 20; optional string ref_attr_name = 21;
  optional SparseTensorProto sparse_tensor = 22; repeated SparseTensorProto sparse_tensors = 23;
}
message ValueInfoProto {
  optional string name = 1; optional TypeProto type = 2; optional bytes doc_string = 3; repeated StringStringEntryProto metadata_props = 4;
}
message NodeProto {
  repeated string input = 1; repeated string output = 2; optional string name = 3; optional string op_type = 4;
  repeated AttributeProto attribute = 5; optional bytes doc_string = 6; optional string domain = 7; optional string overload = 8;
  repeated StringStringEntryProto metadata_props = 9; repeated NodeDeviceConfigurationProto device_configurations = 10;
}
message IntIntListEntryProto { optional int64 key = 1; repeated int64 value = 2; }
message NodeDeviceConfigurationProto {
  optional string configuration_id = 1; repeated ShardingSpecProto sharding_spec = 2; optional int32 pipeline_stage = 3;
}
message ShardingSpecProto {
  optional string tensor_name = 1; repeated int64 device = 2;
  repeated IntIntListEntryProto index_to_device_group_map = 3; repeated ShardedDimProto sharded_dim = 4;
}
message ShardedDimProto { optional int64 axis = 1; repeated SimpleShardedDimProto simple_sharding = 2; }
message SimpleShardedDimProto { oneof dim { int64 dim_value = 1; string dim_param = 2; } optional int64 num_shards = 3; }
message TrainingInfoProto {
  optional GraphProto initialization = 1; optional GraphProto algorithm = 2;
  repeated StringStringEntryProto initialization_binding = 3; repeated StringStringEntryProto update_binding = 4;
}
message ModelProto {
  optional int64 ir_version = 1; optional bytes producer_name = 2; optional bytes producer_version = 3; optional bytes domain = 4;
  optional int64 model_version = 5; optional bytes doc_string = 6; optional GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8; repeated StringStringEntryProto metadata_props = 14;
  repeated TrainingInfoProto training_info = 20; repeated FunctionProto functions = 25;
  repeated DeviceConfigurationProto configuration = 26;
}
message DeviceConfigurationProto { optional string name = 1; optional int32 num_devices = 2; repeated string device = 3; }
message StringStringEntryProto { optional bytes key = 1; optional bytes value = 2; }
message ExternalEntryProto { optional string key = 1; optional string value = 2; }
message TensorAnnotation { optional string tensor_name = 1; repeated StringStringEntryProto quant_parameter_tensor_names = 2; }
message GraphProto {
  repeated NodeProto node = 1; optional string name = 2; repeated TensorProto initializer = 5; optional bytes doc_string = 10;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; repeated ValueInfoProto value_info = 13;
  repeated TensorAnnotation quantization_annotation = 14; repeated SparseTensorProto sparse_initializer = 15;
  repeated StringStringEntryProto metadata_props = 16;
}
message PayloadReference { optional uint32 field = 1; optional uint64 start = 2; optional uint64 end = 3; }
message TensorProto {
  message Segment { optional int64 begin = 1; optional int64 end = 2; }
  repeated int64 dims = 1; optional int32 data_type = 2; optional Segment segment = 3;
  repeated fixed32 float_data = 4 [packed = true]; repeated int32 int32_data = 5 [packed = true]; repeated bytes string_data = 6;
  repeated int64 int64_data = 7 [packed = true]; optional string name = 8; optional bytes raw_data = 9;
  repeated double double_data = 10 [packed = true]; repeated uint64 uint64_data = 11 [packed = true];
  optional bytes doc_string = 12; repeated ExternalEntryProto external_data = 13; optional int32 data_location = 14;
  repeated StringStringEntryProto metadata_props = 16;
  repeated PayloadReference payload = ${PAYLOAD_FIELD};
}
message SparseTensorProto { optional TensorProto values = 1; optional TensorProto indices = 2; repeated int64 dims = 3; }
message TensorShapeProto {
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } optional bytes denotation = 3; }
  repeated Dimension dim = 1;
}
message TypeProto {
  message Tensor { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; }
  message Sequence { optional TypeProto elem_type = 1; }
  message Map { optional int32 key_type = 1; optional TypeProto value_type = 2; }
  message Optional { optional TypeProto elem_type = 1; }
  message SparseTensor { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; }
  message Opaque { optional string domain = 1; optional string name = 2; }
  oneof value {
    Tensor tensor_type = 1; Sequence sequence_type = 4; Map map_type = 5; Optional optional_type = 9;
    SparseTensor sparse_tensor_type = 8; Opaque opaque_type = 7;
  }
  optional bytes denotation = 6;
}
message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
message FunctionProto {
  optional string name = 1; repeated string input = 4; repeated string output = 5; repeated string attribute = 6;
  repeated NodeProto node = 7; optional bytes doc_string = 8; repeated OperatorSetIdProto opset_import = 9;
  optional string domain = 10; repeated AttributeProto attribute_proto = 11; repeated ValueInfoProto value_info = 12;
  optional string overload = 13; repeated StringStringEntryProto metadata_props = 14;
}
`;

// protobufjs would otherwise drop fields that the schema does not know (and with them what a newer exporter wrote).
protobuf.Reader.discardUnknown = false;
protobuf.util.Long = Long;
protobuf.configure();

const root = protobuf.parse(SCHEMA, { keepCase: true }).root.resolveAll();

export const ModelMessage = root.lookupType("ModelProto");

// protobufjs gives absent fields the defaults of proto2 ("" and null); here an absent field is undefined, so that presence can be seen.
function forgetDefaults(types: readonly protobuf.ReflectionObject[]): void {
	for (const type of types) {
		if (!(type instanceof protobuf.Type)) continue;
		for (const field of type.fieldsArray) {
			if (!field.repeated) Object.defineProperty(type.ctor.prototype, field.name, { value: undefined, writable: true });
		}
		forgetDefaults(type.nestedArray);
	}
}

forgetDefaults(root.nestedArray);

// --- messages as decoded ---

export interface EntryProto {
	key?: string;
	value?: string;
}

export interface PayloadReference {
	/** The TensorProto field that holds the payload: 9 raw_data, 4 float_data, … */
	field: number;
	/** Byte range in the file, or any other number that the writer gave. */
	start: Long;
	end: Long;
}

export interface TensorProto {
	dims: Long[];
	data_type?: number;
	name?: string;
	segment?: unknown;
	raw_data?: Uint8Array;
	/** Bits of float32 numbers. */
	float_data: number[];
	int32_data: number[];
	string_data: Uint8Array[];
	int64_data: Long[];
	double_data: number[];
	uint64_data: Long[];
	external_data: EntryProto[];
	data_location?: number;
	payload: PayloadReference[];
}

export interface DimensionProto {
	dim_value?: Long;
	dim_param?: string;
}

export interface TypeProto {
	tensor_type?: { elem_type?: number; shape?: { dim: DimensionProto[] } };
}

export interface ValueInfoProto {
	name?: string;
	type?: TypeProto;
}

export interface SparseTensorProto {
	values?: TensorProto;
	indices?: TensorProto;
}

export interface AttributeProto {
	name?: string;
	type?: number;
	ref_attr_name?: string;
	/** Bits of a float32. */
	f?: number;
	i?: Long;
	s?: Uint8Array;
	t?: TensorProto;
	g?: GraphProto;
	/** Bits of float32 numbers. */
	floats: number[];
	ints: Long[];
	strings: Uint8Array[];
	tensors: TensorProto[];
	graphs: GraphProto[];
	sparse_tensor?: SparseTensorProto;
	sparse_tensors: SparseTensorProto[];
}

export interface NodeProto {
	input: string[];
	output: string[];
	name?: string;
	op_type?: string;
	domain?: string;
	overload?: string;
	attribute: AttributeProto[];
}

export interface GraphProto {
	node: NodeProto[];
	name?: string;
	initializer: TensorProto[];
	sparse_initializer: SparseTensorProto[];
	input: ValueInfoProto[];
	output: ValueInfoProto[];
	value_info: ValueInfoProto[];
	/** No field of the file: for each entry left in value_info, how many entries that the IR owns came before it. */
	value_info_positions?: readonly number[];
}

export interface OperatorSetIdProto {
	domain?: string;
	version?: Long;
}

export interface FunctionProto {
	name?: string;
	domain?: string;
	overload?: string;
	input: string[];
	output: string[];
	attribute: string[];
	attribute_proto: AttributeProto[];
	node: NodeProto[];
	opset_import: OperatorSetIdProto[];
	value_info: ValueInfoProto[];
}

export interface TrainingInfoProto {
	initialization?: GraphProto;
	algorithm?: GraphProto;
}

export interface ModelProto {
	ir_version?: Long;
	graph?: GraphProto;
	opset_import: OperatorSetIdProto[];
	functions: FunctionProto[];
	training_info: TrainingInfoProto[];
}

const SCRATCH = new DataView(new ArrayBuffer(4));

export function floatOfBits(bits: number): number {
	SCRATCH.setUint32(0, bits);
	return SCRATCH.getFloat32(0);
}

export function bitsOfFloat(value: number): number {
	SCRATCH.setFloat32(0, value);
	return SCRATCH.getUint32(0);
}

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = {
	float: 1,
	int: 2,
	string: 3,
	tensor: 4,
	graph: 5,
	floats: 6,
	ints: 7,
	strings: 8,
	tensors: 9,
	graphs: 10,
} as const;
