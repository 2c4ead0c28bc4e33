// Cases of decompose/: fused attention, rotary positions, recurrent layers, embeddings.
import type { DECOMPOSITIONS } from "../../../src/gradient/decompose.js";
import type { GradientCase } from "../check.js";
import { groupQuery } from "./group-query.js";
import { f32, node } from "./node.js";
import { recurrent } from "./recurrent.js";

const Q = "q: T[2, 3, 4]";
const K = "k: T[2, 5, 4]";
const V = "v: T[2, 5, 4]";
const SELF = ["q: T[2, 3, 4]", "k: T[2, 3, 4]", "v: T[2, 3, 4]"];
const SELF_WEIGHTS = ["x: T[2, 3, 4]", "w: T[4, 12]", "b: T[12]"];
const PAST = "p: T[2, 2, 2, 2, 2]";
const BY_HEADS = ["k: T[2, 2, 5, 2]", "v: T[2, 2, 5, 2]"];
const FOUR_AXES = ["q: T[2, 2, 3, 2]", "k: T[2, 2, 5, 2]", "v: T[2, 2, 5, 2]"];
const NO_MASK = ["", "", ""];
const MHA = "com.microsoft.MultiHeadAttention<num_heads=2>";
const EMBED = "com.microsoft.EmbedLayerNormalization<epsilon=0.01>";
const IDS = { i: [4, 1, 1, 0, 3, 4], g: [0, 1, 1, 1, 0, 0], m: [1, 1, 1, 1, 1, 0], p: [2, 0, 1, 3, 1, 1] };
const TABLES = ["i: int32[2, 3]", "g: int32[2, 3]", "words: T[5, 4]", "places: T[6, 4]", "segments: T[2, 4]", "s: T[4]", "b: T[4]"];

export const composite: Readonly<Record<keyof typeof DECOMPOSITIONS, readonly GradientCase[]>> = {
	Attention: [
		node("four axes", "Attention", ["q: T[2, 2, 3, 4]", "k: T[2, 2, 5, 4]", "v: T[2, 2, 5, 3]"], "y", { opset: 23 }),
		node("three axes", "Attention<q_num_heads=2, kv_num_heads=2>", [Q, K, V], "y", { opset: 23 }),
		node("shared keys, causal", "Attention<is_causal=1, scale=0.7>", ["q: T[1, 4, 3, 2]", "k: T[1, 2, 3, 2]", "v: T[1, 2, 3, 2]"], "y", {
			opset: 23,
		}),
		node(
			"float mask and softcap",
			"Attention<softcap=2.0>",
			["q: T[1, 2, 3, 2]", "k: T[1, 2, 4, 2]", "v: T[1, 2, 4, 2]", "m: T[3, 4]"],
			"y",
			{ opset: 23 },
		),
		node("bool mask", "Attention", ["q: T[1, 2, 3, 2]", "k: T[1, 2, 3, 2]", "v: T[1, 2, 3, 2]", "m: bool[3, 3]"], "y", {
			opset: 23,
			feeds: { m: [1, 0, 0, 1, 1, 0, 1, 0, 1] },
		}),
		node(
			"a past",
			"Attention",
			["q: T[1, 2, 3, 2]", "k: T[1, 2, 3, 2]", "v: T[1, 2, 3, 2]", "", "pk: T[1, 2, 2, 2]", "pv: T[1, 2, 2, 2]"],
			"y, k2, v2",
			{ opset: 23 },
		),
		node(
			"causal behind a past",
			"Attention<is_causal=1>",
			["q: T[1, 2, 3, 2]", "k: T[1, 2, 3, 2]", "v: T[1, 2, 3, 2]", "", "pk: T[1, 2, 2, 2]", "pv: T[1, 2, 2, 2]"],
			"y, k2, v2",
			{ opset: 23 },
		),
		node("keys before padding", "Attention", [...FOUR_AXES, "", "", "", "n: int64[2]"], "y", { opset: 24, feeds: { n: [3, 5] } }),
		node("keys before padding, causal, a mask", "Attention<is_causal=1>", [...FOUR_AXES, "m: T[3, 5]", "", "", "n: int64[2]"], "y", {
			opset: 24,
			feeds: { n: [3, 5] },
			...f32,
		}),
		node("causal, more keys", "Attention<is_causal=1>", ["q: T[1, 2, 3, 2]", "k: T[1, 2, 5, 2]", "v: T[1, 2, 5, 2]"], "y", { opset: 23 }),
	],
	RotaryEmbedding: [
		node("halves", "RotaryEmbedding", ["x: T[2, 2, 3, 4]", "c: T[2, 3, 2]", "s: T[2, 3, 2]"], "y", { opset: 23, ...f32 }),
		node(
			"neighbours, three axes, ids",
			"RotaryEmbedding<interleaved=1, num_heads=2>",
			["x: T[2, 3, 8]", "c: T[5, 2]", "s: T[5, 2]", "p: int64[2, 3]"],
			"y",
			{
				opset: 23,
				feeds: { p: [0, 1, 2, 4, 4, 1] },
				...f32,
			},
		),
		node("a part", "RotaryEmbedding<rotary_embedding_dim=4>", ["x: T[2, 2, 3, 6]", "c: T[2, 3, 2]", "s: T[2, 3, 2]"], "y", {
			opset: 23,
			...f32,
		}),
	],
	"com.microsoft.RotaryEmbedding": [
		node("an offset", "com.microsoft.RotaryEmbedding", ["x: T[2, 3, 8]", "p: int64[1]", "c: T[6, 2]", "s: T[6, 2]"], "y", {
			feeds: { p: [2] },
			...f32,
		}),
		node(
			"positions, neighbours",
			"com.microsoft.RotaryEmbedding<interleaved=1>",
			["x: T[2, 2, 3, 4]", "p: int64[2, 3]", "c: T[6, 2]", "s: T[6, 2]"],
			"y",
			{
				feeds: { p: [0, 1, 2, 5, 4, 3] },
				...f32,
			},
		),
	],
	...recurrent,
	SequenceAt: [
		{
			about: "parts of given sizes",
			graph: "main(x: T[2, 6])\ns = int64[3] {1, 2, 3}\ni = int64[] {1}\nq = SplitToSequence<axis=1>(x, s)\ny = SequenceAt(q, i)\nreturn y",
		},
		{
			about: "equal parts, the last",
			graph: "main(x: T[5, 2])\ns = int64[] {2}\ni = int64[] {-1}\nq = SplitToSequence<axis=0>(x, s)\ny = SequenceAt(q, i)\nreturn y",
		},
		{
			about: "rows without their axis",
			graph: "main(x: T[3, 2])\ni = int64[] {2}\nq = SplitToSequence<axis=0, keepdims=0>(x)\ny = SequenceAt(q, i)\nreturn y",
		},
	],
	"com.microsoft.FusedGemm": [
		node("Relu", 'com.microsoft.FusedGemm<activation="Relu", transB=1, alpha=0.5>', ["a: T[2, 3]", "b: T[4, 3]", "c: T[4]"], "y", f32),
		node(
			"LeakyRelu",
			'com.microsoft.FusedGemm<activation="LeakyRelu", activation_alpha=0.25>',
			["a: T[2, 3]", "b: T[3, 4]", "c: T[4]"],
			"y",
			f32,
		),
	],
	"com.microsoft.Attention": [
		node("plain", "com.microsoft.Attention<num_heads=2>", ["x: T[2, 3, 4]", "w: T[4, 12]", "b: T[12]"], "y", f32),
		node("a mask of keys", "com.microsoft.Attention<num_heads=2>", ["x: T[2, 3, 4]", "w: T[4, 12]", "b: T[12]", "m: int32[2, 3]"], "y", {
			feeds: { m: [1, 1, 0, 1, 1, 1] },
			...f32,
		}),
		node("numbers of keys", "com.microsoft.Attention<num_heads=2>", ["x: T[2, 3, 4]", "w: T[4, 12]", "b: T[12]", "m: int32[2]"], "y", {
			feeds: { m: [2, 3] },
			...f32,
		}),
		node("causal", "com.microsoft.Attention<num_heads=2, unidirectional=1, scale=0.3>", SELF_WEIGHTS, "y", f32),
		node("first and last keys", "com.microsoft.Attention<num_heads=2>", [...SELF_WEIGHTS, "m: int32[4]"], "y", {
			feeds: { m: [2, 3, 0, 1] },
			...f32,
		}),
		node("keys and queries of packed rows", "com.microsoft.Attention<num_heads=2>", [...SELF_WEIGHTS, "m: int32[8]"], "y", {
			feeds: { m: [2, 3, 0, 2, 5, 0, 2, 5] },
			...f32,
		}),
		node("a past, causal", "com.microsoft.Attention<num_heads=2, unidirectional=1>", [...SELF_WEIGHTS, "", PAST], "y, z", f32),
		node("a past, a mask", "com.microsoft.Attention<num_heads=2>", [...SELF_WEIGHTS, "m: int32[2, 5]", PAST], "y, z", {
			feeds: { m: [1, 1, 0, 1, 1, 0, 1, 1, 1, 0] },
			...f32,
		}),
	],
	"com.microsoft.MultiHeadAttention": [
		node("other keys", MHA, [Q, K, V], "y", f32),
		node("bias and mask", MHA, [Q, K, V, "b: T[12]", "m: int32[2, 5]"], "y", { feeds: { m: [1, 1, 1, 0, 0, 1, 1, 1, 1, 1] }, ...f32 }),
		node("attention bias", MHA, [Q, K, V, "", "", "a: T[1, 2, 3, 5]"], "y", f32),
		node("causal, keys returned", "com.microsoft.MultiHeadAttention<num_heads=2, unidirectional=1>", SELF, "y, k2, v2", f32),
		node("keys by heads", MHA, [Q, ...BY_HEADS], "y", f32),
		node("keys by heads, a bias of the query", MHA, [Q, ...BY_HEADS, "b: T[12]"], "y", f32),
		node("keys by heads behind a past", MHA, [Q, ...BY_HEADS, ...NO_MASK, "pk: T[2, 2, 1, 2]", "pv: T[2, 2, 1, 2]"], "y, k2, v2", f32),
		node(
			"a past, causal",
			"com.microsoft.MultiHeadAttention<num_heads=2, unidirectional=1>",
			[...SELF, ...NO_MASK, "pk: T[2, 2, 2, 2]", "pv: T[2, 2, 2, 2]"],
			"y, k2, v2",
			f32,
		),
		node("wider values, numbers of keys", MHA, [SELF[0] ?? "", SELF[1] ?? "", "v: T[2, 3, 6]", "b: T[14]", "m: int32[2]"], "y", {
			feeds: { m: [2, 3] },
			...f32,
		}),
	],
	"com.microsoft.GroupQueryAttention": groupQuery,
	"com.microsoft.EmbedLayerNormalization": [
		node("segments", EMBED, TABLES, "y, _", { feeds: IDS, ...f32 }),
		node("mask, positions, the sum", EMBED, [...TABLES, "m: int32[2, 3]", "p: int32[2, 3]"], "y, n, z", { feeds: IDS, ...f32 }),
		node("no segments", EMBED, [TABLES[0] ?? "", "", TABLES[2] ?? "", TABLES[3] ?? "", "", "s: T[4]", "b: T[4]"], "y, _", {
			feeds: IDS,
			...f32,
		}),
	],
};
