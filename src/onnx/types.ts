// TypeProto and ValueInfoProto ↔ the types of the IR.
import Long from "long";
import { codeOfDType, dtypeOfCode } from "../ir/dtype.js";
import type { Dim, TensorType, ValueInfo } from "../ir/graph.js";
import { carry, restore } from "./carry.js";
import type { TypeProto, ValueInfoProto } from "./schema.js";

export function readValueInfo(proto: ValueInfoProto): ValueInfo {
	return { type: readType(proto.type), carried: carry(proto, []) };
}

function readType(proto: TypeProto | undefined): TensorType | undefined {
	const tensor = proto?.tensor_type;
	if (tensor === undefined) return undefined;
	const shape = tensor.shape?.dim.map((dim): Dim => {
		if (dim.dim_value !== undefined) return dim.dim_value.toNumber();
		return dim.dim_param === undefined || dim.dim_param === "" ? undefined : dim.dim_param;
	});
	return { dtype: dtypeOfCode(tensor.elem_type ?? 0), shape };
}

/** The declaration of a value under its present name: as it came, or made from its type. */
export function writeValueInfo(name: string, info: ValueInfo | undefined): ValueInfoProto {
	if (info?.carried !== undefined) return restore<ValueInfoProto>(info.carried, { name });
	if (info?.type === undefined) return { name };
	return { name, type: writeType(info.type) };
}

function writeType(type: TensorType): TypeProto {
	const dim = type.shape?.map((size) =>
		typeof size === "number" ? { dim_value: Long.fromNumber(size) } : size === undefined ? {} : { dim_param: size },
	);
	return {
		tensor_type: {
			...(type.dtype === undefined ? {} : { elem_type: codeOfDType(type.dtype) }),
			...(dim === undefined ? {} : { shape: { dim } }),
		},
	};
}
